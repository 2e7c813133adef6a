"""The composition root of what follows a choice."""

from __future__ import annotations

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.secrets import Secrets
from chatapi.store.consents import Consents
from chatapi.store.holds import Holds
from chatapi.store.marks import Marks
from chatapi.store.webhooks import Webhooks
from chatapi.vault.dynamo import DynamoWraps
from chatapi.wiring import store_of
from privacy.choosing.tasks import Ports
from privacy.composition import outbound
from privacy.webhooks import Teller


def compose() -> Ports:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    database = AwsClient("dynamodb", region=here, timeout=5.0, attempts=4)
    requests = store_of(database, "requests", clock)
    webhooks = Webhooks(requests, lambda: secrets.get(setting("WEBHOOK_SECRET")))
    signer = KmsSigner(AwsClient("kms", region=here, timeout=5.0, attempts=4), setting("SIGNING_KEY"))
    return Ports(
        Consents(requests),
        store_of(database, "records", clock),
        Marks(requests, clock),
        DynamoWraps(database, setting("VAULT_TABLE")),
        signer,
        Teller(webhooks, outbound()),
        clock,
        Holds(requests),
    )
