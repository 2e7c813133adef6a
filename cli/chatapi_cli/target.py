"""Which stack the command talks to: the local one while `.local/stack.json` is there, else the AWS profile's."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.outbound import Outbound
from chatapi.secrets import Secrets
from chatapi.store.cases import Cases
from chatapi.store.contacts import Contacts
from chatapi.store.items import Table
from chatapi.store.marks import Marks
from chatapi.store.projects import Projects
from chatapi.store.records import Records
from chatapi.store.signals import every_row, live_signals
from chatapi.store.usage import UsageRows
from chatapi.store.webhooks import Webhooks
from chatapi.vault import Vault, project_pepper, subject_id
from chatapi.wiring import store_of, vault_of
from privacy.executions import StepFunctions


class TargetError(Exception):
    """There is no stack to talk to. The text says what to do."""


@dataclass(frozen=True)
class Target:
    """A deployed stack: its region, base URL, outputs, and how to reach AWS there."""

    region: str
    base_url: str
    outputs: dict[str, str]
    account_id: str
    credentials: Credentials
    endpoint: str | None = None

    def client(self, service: str) -> AwsClient:
        """A lean client of a service."""
        return AwsClient(service, region=self.region, endpoint=self.endpoint, credentials=lambda: self.credentials)

    def output(self, name: str) -> str:
        """An output of the stack; TargetError where another template was deployed under its name."""
        value = self.outputs.get(name)
        if value is None:
            raise TargetError(f"The stack has no output {name}: is it a ChatAPI stack of this version?")
        return value

    def projects(self) -> Projects:
        """The operators' side of the Projects table."""
        secrets, clock = Secrets(self.client("secretsmanager")), SystemClock()
        return Projects(
            self.projects_table(),
            mint=secrets.get(self.output("MintSecret")),
            pepper=secrets.get(self.output("KeyPepperSecret")),
            clock=clock,
        )

    def signals(self) -> list[dict[str, Any]]:
        """Failures by address and day, those that have not expired."""
        return live_signals(every_row(self.client("dynamodb"), self.output("SignalsTable")), SystemClock().now())

    def usage(self) -> UsageRows:
        """What the projects used."""
        return UsageRows(self.projects_table())

    def projects_table(self) -> Catalogued:
        """The Projects table, as its repositories take it."""
        return store_of(self.client("dynamodb"), "projects", SystemClock(), self.output("ProjectsTable"))

    def requests(self) -> Table:
        """The catalogued Requests table."""
        return store_of(self.client("dynamodb"), "requests", SystemClock(), self.output("RequestsTable"))

    def records(self) -> Table:
        """The catalogued Records table."""
        return store_of(self.client("dynamodb"), "records", SystemClock(), self.output("RecordsTable"))

    def cases(self) -> Cases:
        """The data-rights requests."""
        return Cases(self.requests())

    def contacts(self) -> Contacts:
        """Where the owners of projects can be reached."""
        secrets = Secrets(self.client("secretsmanager"))
        records = self.sealed(self.vault(despite_restriction=True))
        return Contacts(records, lambda: secrets.get(self.output("SubjectPepperSecret")))

    def vault(self, *, despite_restriction: bool = False) -> Vault:
        """The data subjects' keys; `despite_restriction`: see Vault."""
        table, key = self.output("VaultTable"), self.output("EpochAlias")
        dynamodb, kms = self.client("dynamodb"), self.client("kms")
        return vault_of(dynamodb, kms, SystemClock(), table, key, despite_restriction=despite_restriction)

    def sealed(self, vault: Vault) -> Records:
        """The encrypted records."""
        clock = SystemClock()
        return Records(self.records(), vault, Marks(self.requests(), clock), clock)

    def webhooks(self) -> Webhooks:
        """Where projects are told of erasures and choices."""
        secrets = Secrets(self.client("secretsmanager"))
        return Webhooks(self.requests(), lambda: secrets.get(self.output("WebhookSecret")))

    def outbound(self) -> Outbound:
        """What the stack may call: this machine, where it runs on it."""
        return Outbound(loopback=self.output("Stage") == "local")

    def executions(self) -> StepFunctions:
        """The workflows."""
        machines = {name: self.output(f"{name.title()}Machine") for name in ("erasure", "export", "changes")}
        return StepFunctions(self.client("states"), machines)

    def subject(self, project: str, user: str | None) -> str:
        """The pseudonym of a project's end user, or of its owner where `user` is None."""
        pepper = project_pepper(Secrets(self.client("secretsmanager")).get(self.output("SubjectPepperSecret")), project)
        return subject_id(pepper, "owner", project) if user is None else subject_id(pepper, "user", user)


def find(stack_name: str | None = None) -> Target:
    """The stack to talk to. `CHATAPI_STACK_FILE` names another file than `.local/stack.json`; a name means AWS."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    named = os.environ.get("CHATAPI_STACK_FILE")
    file = Path(named or ".local/stack.json")
    local = _local(file) if stack_name is None and (named or file.exists()) else {}
    endpoint = local.get("aws_endpoint_url")
    name = local.get("stack_name") or stack_name or os.environ.get("CHATAPI_STACK", "chatapi")
    try:
        if local:
            session = boto3.Session(
                local["aws_access_key_id"], local["aws_secret_access_key"], region_name=local["region"]
            )
        else:
            session = boto3.Session(region_name=os.environ.get("AWS_REGION"))  # boto3 itself does not read it
        found = session.get_credentials()
        if found is None or session.region_name is None:
            raise TargetError(
                "No stack: start one with 'make run', or set an AWS profile with credentials and a region."
            )
        stacks = session.client("cloudformation", endpoint_url=endpoint).describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        if local:
            raise TargetError(f"The local stack of {file} does not answer: start it with 'make run'.") from None
        raise TargetError(
            f"The stack {name} cannot be read ({type(error).__name__}): check AWS_PROFILE, the region and --stack."
        ) from None
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stacks[0].get("Outputs", [])}
    frozen = found.get_frozen_credentials()
    return Target(
        region=session.region_name,
        base_url=local.get("base_url") or outputs.get("BaseUrl", ""),
        outputs=outputs,
        account_id=stacks[0]["StackId"].split(":")[4],
        credentials=Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token),
        endpoint=endpoint,
    )


def _local(file: Path) -> dict[str, Any]:
    """What `make run` wrote. TargetError for anything else: it must not lead to the AWS account of the profile."""
    try:
        stack = json.loads(file.read_text())
        if {"aws_access_key_id", "aws_secret_access_key", "aws_endpoint_url", "region"} <= stack.keys():
            return dict(stack)
    except (OSError, ValueError, AttributeError):
        pass
    raise TargetError(f"{file} is not there or not what 'make run' writes; CHATAPI_STACK_FILE names another one.")
