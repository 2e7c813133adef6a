"""The composition root of the data-rights API: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

import os
from functools import cache

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.outbound import Outbound
from chatapi.secrets import Secrets
from chatapi.store.cases import Cases
from chatapi.store.consents import Consents
from chatapi.store.project_flags import ProjectFlags
from chatapi.store.project_terms import project_terms
from chatapi.store.webhooks import Webhooks
from chatapi.wiring import store_of
from privacy.asking import Asking, Terms
from privacy.changes.client import LambdaDesk
from privacy.consents import Choices
from privacy.downloads import Links
from privacy.executions import Followers, StepFunctions
from privacy.imports import Imports
from privacy.objects import S3Downloads, S3Places
from privacy.service import Rights
from privacy.webhooks import Recipients


def compose() -> Rights:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    requests = store_of(AwsClient("dynamodb", region=here), "requests", clock)
    cases = Cases(requests)
    machines = {name: setting(f"{name.upper()}_MACHINE") for name in ("erasure", "export", "changes")}
    desk = LambdaDesk(AwsClient("lambda", region=here, timeout=20.0, attempts=1), setting("CHANGES_FUNCTION"))

    @cache
    def choices() -> Choices:
        return compose_consents(rights)

    rights = Rights(
        cases,
        StepFunctions(AwsClient("states", region=here), machines),
        KmsSigner(AwsClient("kms", region=here), setting("SIGNING_KEY")),
        clock,
        lambda: secrets.get(setting("SUBJECT_PEPPER_SECRET")),
        links=Links(requests, cases, S3Downloads(setting("EXPORTS_BUCKET")), clock),
        asking=Asking(desk, choices),
        grace_seconds=int(setting("GRACE_SECONDS")),
    )
    return rights


def outbound() -> Outbound:
    """Calls to addresses that others chose. Only the stack on one machine may call this machine: everywhere else
    loopback is Lambda's own runtime API."""
    return Outbound(loopback=os.environ.get("STAGE") == "local")


def compose_recipients() -> Recipients:
    """The projects' webhooks, from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    rows = store_of(AwsClient("dynamodb", region=here), "requests", clock)
    webhooks = Webhooks(rows, lambda: secrets.get(setting("WEBHOOK_SECRET")))
    return Recipients(webhooks, outbound(), clock)


def compose_consents(rights: Rights) -> Choices:
    """The data subjects' choices, from the environment."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here)
    flags = ProjectFlags(dynamodb, setting("PROJECTS_TABLE"))
    followers = Followers(AwsClient("states", region=here), setting("CONSENT_MACHINE"), clock)
    consents = Consents(store_of(dynamodb, "requests", clock))
    return Choices(consents, clock, rights.pseudonym, flags.set, followers)


def terms_of(project: str) -> Terms:
    """On which terms a project stores. Its key's own ceiling is a developer's, and does not bind a person."""
    client = AwsClient("dynamodb", region=region())
    return Terms(*project_terms(client, setting("PROJECTS_TABLE"), project))


def compose_imports(rights: Rights) -> Imports:
    """Places for archives, from the environment."""
    return Imports(S3Places(setting("EXPORTS_BUCKET")), SystemClock(), rights.pseudonym)
