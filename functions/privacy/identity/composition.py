"""The composition roots of identity: the one of the API, and the one of the function that sends codes."""

from __future__ import annotations

from chatapi.aws.calling import RestCaller
from chatapi.aws.client import AwsClient
from chatapi.aws.errors import AwsError
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.secrets import Secrets
from chatapi.wiring import store_of, vault_of
from privacy.identity.challenges import Challenges
from privacy.identity.sender import Ports
from privacy.identity.service import Hashes, Identity
from privacy.identity.tokens import Tokens


class LambdaMessenger:
    """The adapter of `Messenger` on Lambda (AWS Lambda API reference, "Invoke": InvocationType Event)."""

    def __init__(self, client: RestCaller, function: str) -> None:
        self._client = client
        self._function = function

    def start(self, challenge: str) -> None:
        """See Messenger."""
        headers = {"content-type": "application/json", "x-amz-invocation-type": "Event"}
        target = f"/2015-03-31/functions/{self._function}/invocations"
        status, _, response = self._client.open("POST", target, b'{"challenge":"%b"}' % challenge.encode(), headers)
        response.read()
        if status != 202:
            raise AwsError("InvokeRefused", status)


def compose() -> Identity:
    """Wire the API's side from the environment."""
    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))

    def portal() -> bytes:
        return secrets.get(setting("PORTAL_SECRET"))

    return Identity(
        _challenges(AwsClient("dynamodb", region=here), clock),
        LambdaMessenger(AwsClient("lambda", region=here), setting("IDENTITY_FUNCTION")),
        Hashes(portal),
        Tokens(portal, clock),
        clock,
        lambda: secrets.get(setting("SUBJECT_PEPPER_SECRET")),
    )


def compose_sender() -> Ports:
    """Wire the sender from the environment."""
    from chatapi.mail import SesMail
    from chatapi.store.contacts import Contacts
    from chatapi.store.marks import Marks
    from chatapi.store.records import Records

    here, clock = region(), SystemClock()
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    dynamodb = AwsClient("dynamodb", region=here)
    vault = vault_of(dynamodb, AwsClient("kms", region=here), clock, despite_restriction=True)
    requests = store_of(dynamodb, "requests", clock)
    records = store_of(dynamodb, "records", clock)
    return Ports(
        Challenges(requests, clock),
        Contacts(Records(records, vault, Marks(requests, clock), clock), lambda: b""),
        Hashes(lambda: secrets.get(setting("PORTAL_SECRET"))),
        SesMail(AwsClient("email", region=here, timeout=10.0), setting("MAIL_FROM")),
    )


def _challenges(client: AwsClient, clock: SystemClock) -> Challenges:
    return Challenges(store_of(client, "requests", clock), clock)
