"""The composition root of the rights function: which adapter stands behind which port."""

from __future__ import annotations

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.ledger import Ledger
from chatapi.store.cases import Cases
from chatapi.vault.dynamo import DynamoWraps
from chatapi.wiring import store_of, vault_of
from privacy.exports.ports import Ports
from privacy.objects import S3Uploads


def compose() -> Ports:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    database = AwsClient("dynamodb", region=here, timeout=20.0, attempts=4)
    keys = AwsClient("kms", region=here, timeout=20.0, attempts=4)
    wraps = DynamoWraps(database, setting("VAULT_TABLE"))
    requests = store_of(database, "requests", clock)
    ledger = store_of(database, "ledger", clock)
    return Ports(
        Cases(requests),
        requests,
        store_of(database, "records", clock),
        vault_of(database, keys, clock, despite_restriction=True),
        Ledger(ledger),
        KmsSigner(keys, setting("SIGNING_KEY")),
        clock,
        wraps,
        S3Uploads(setting("EXPORTS_BUCKET")),
    )
