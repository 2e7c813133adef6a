"""The composition root of the self-service of keys: it alone knows which adapter stands behind which port."""

from __future__ import annotations

from account.service import Keys
from chatapi.aws.client import AwsClient
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.secrets import Secrets
from chatapi.store.dynamo import DynamoTable
from chatapi.store.projects import Projects


def compose() -> Keys:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    table = DynamoTable(AwsClient("dynamodb", region=here), setting("PROJECTS_TABLE"), sort=None, now=clock.now)
    return Keys(
        Projects(
            Catalogued(table, "projects"),
            mint=secrets.get(setting("MINT_SECRET")),
            pepper=secrets.get(setting("KEY_PEPPER_SECRET")),
            clock=clock,
        ),
        clock,
    )
