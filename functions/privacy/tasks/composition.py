"""The composition root of the erasure function: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.ledger import Ledger
from chatapi.secrets import Secrets
from chatapi.store.cases import Cases
from chatapi.store.webhooks import Webhooks
from chatapi.vault.dynamo import DynamoWraps
from chatapi.wiring import store_of, vault_of
from privacy.composition import outbound
from privacy.objects import S3Objects
from privacy.tasks.ports import Ports
from privacy.webhooks import Teller

_TIMEOUT, _ATTEMPTS = 20.0, 4
"""Nobody waits for these calls, so they may be patient: seconds for one attempt, and how many."""


def compose() -> Ports:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here, timeout=_TIMEOUT, attempts=_ATTEMPTS)
    kms = AwsClient("kms", region=here, timeout=_TIMEOUT, attempts=_ATTEMPTS)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    wraps = DynamoWraps(dynamodb, setting("VAULT_TABLE"))
    requests = store_of(dynamodb, "requests", clock)
    return Ports(
        cases=Cases(requests),
        requests=requests,
        records=store_of(dynamodb, "records", clock),
        wraps=wraps,
        vault=vault_of(dynamodb, kms, clock, despite_restriction=True),
        exports=S3Objects(setting("EXPORTS_BUCKET")),
        ledger=Ledger(store_of(dynamodb, "ledger", clock)),
        signer=KmsSigner(kms, setting("SIGNING_KEY")),
        clock=clock,
        late_writer_seconds=int(setting("LATE_WRITER_SECONDS")),
        teller=Teller(Webhooks(requests, lambda: secrets.get(setting("WEBHOOK_SECRET"))), outbound()),
    )
