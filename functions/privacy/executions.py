"""The adapter of the port `Executions` on Step Functions (API reference, "StartExecution")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatapi.aws.calling import Caller
from chatapi.aws.errors import AwsError
from chatapi.clock import Clock
from chatapi.store.cases import Case
from chatapi.store.items import Item

_FRESH, _RESTART = 60, 900


WORKFLOWS = {"access": "export", "portability": "export"}
WORKFLOWS |= dict.fromkeys(("correction", "completion", "restriction", "objection", "import"), "changes")
"""Which workflow serves a right; the others have one of their own name."""


def start_once(client: Caller, machine_arn: str, name: str, given: Mapping[str, Any]) -> None:
    """Start an execution, unless one of the name has been started in the last 90 days. AwsError."""
    try:
        client.call("StartExecution", {"stateMachineArn": machine_arn, "name": name, "input": json.dumps(given)})
    except AwsError as error:
        if error.code != "ExecutionAlreadyExists":
            raise


class StepFunctions:
    """Executions of the workflows, by the ARN of each. Only opaque ids go into an execution: its history is kept for 90
    days."""

    def __init__(self, client: Caller, machines: Mapping[str, str]) -> None:
        self._client = client
        self._machines = machines

    def start(self, name: str, case: Case) -> None:
        """See Executions."""
        machine = self._machines[WORKFLOWS.get(case.type, case.type)]
        start_once(self._client, machine, name, {"project": case.project, "request": case.id})


class Followers:
    """What follows choices (privacy.consents.Follower), by the machine's ARN. The first execution has a name of the
    revision's own; a later one a name per quarter of an hour, since names are used up for 90 days."""

    def __init__(self, client: Caller, machine_arn: str, clock: Clock) -> None:
        self._client = client
        self._machine_arn = machine_arn
        self._clock = clock

    def follow(self, row: Item) -> None:
        """See Follower."""
        _, project, subject = row["pk"].split("#")
        receipt, now = f"{row['id']}.{row['rev']}", int(self._clock.now())
        given = {"project": project, "subject": subject, "purpose": row["sk"], "revision": row["rev"]}
        name = receipt.replace(".", "-") + ("" if now - row["at"] <= _FRESH else f"-{now // _RESTART}")
        start_once(self._client, self._machine_arn, name, {**given, "request": receipt})
