"""The composition root of the changes function: which adapter stands behind which port."""

from __future__ import annotations

from collections.abc import Mapping

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.kms_signer import KmsSigner
from chatapi.ledger import Ledger
from chatapi.mail import SesMail
from chatapi.secrets import Secrets
from chatapi.store.cases import Cases
from chatapi.store.marks import Marks
from chatapi.store.tags import tags_of
from chatapi.store.webhooks import Webhooks
from chatapi.vault import project_pepper
from chatapi.vault.dynamo import DynamoWraps
from chatapi.wiring import store_of, vault_of
from privacy.changes.ports import Ports
from privacy.composition import outbound
from privacy.objects import S3Objects
from privacy.webhooks import Teller


def compose() -> Ports:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here, timeout=5.0, attempts=4)
    kms = AwsClient("kms", region=here, timeout=5.0, attempts=4)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    wraps = DynamoWraps(dynamodb, setting("VAULT_TABLE"))
    requests = store_of(dynamodb, "requests", clock)

    def tags(project: str, metadata: Mapping[str, str]) -> frozenset[bytes]:
        pepper = secrets.get(setting("SUBJECT_PEPPER_SECRET"))
        return tags_of(project_pepper(pepper, project), metadata) if metadata else frozenset()

    return Ports(
        cases=Cases(requests),
        requests=requests,
        records=store_of(dynamodb, "records", clock),
        vault=vault_of(dynamodb, kms, clock, despite_restriction=True),
        ledger=Ledger(store_of(dynamodb, "ledger", clock)),
        signer=KmsSigner(kms, setting("SIGNING_KEY")),
        clock=clock,
        wraps=wraps,
        marks=Marks(requests, clock),
        exports=S3Objects(setting("EXPORTS_BUCKET")),
        tags=tags,
        teller=Teller(Webhooks(requests, lambda: secrets.get(setting("WEBHOOK_SECRET"))), outbound()),
        mail=SesMail(AwsClient("email", region=here, timeout=5.0), setting("MAIL_FROM")),
    )
