"""The composition root of a project's self-service: it alone knows which adapter stands behind which port."""

from __future__ import annotations

from account.service import Keys, Services
from account.usage import Usage
from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.secrets import Secrets
from chatapi.store.projects import Projects
from chatapi.store.usage import UsageRows
from chatapi.wiring import store_of


def compose() -> Services:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    dynamodb = AwsClient("dynamodb", region=here)
    table = store_of(dynamodb, "projects", clock)
    projects = Projects(
        table,
        mint=secrets.get(setting("MINT_SECRET")),
        pepper=secrets.get(setting("KEY_PEPPER_SECRET")),
        clock=clock,
    )
    return Services(Keys(projects, clock), Usage(UsageRows(table), clock))
