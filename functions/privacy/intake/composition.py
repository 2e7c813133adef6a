"""The composition root of the mail intake."""

from __future__ import annotations

from typing import Any

from chatapi.aws.client import AwsClient
from chatapi.clock import SystemClock
from chatapi.environment import region, setting
from chatapi.mail import SesMail
from chatapi.secrets import Secrets
from chatapi.store.cases import Cases
from chatapi.wiring import store_of
from privacy.intake.handler import Ports
from privacy.intake.service import Intake

_TIMEOUT, _ATTEMPTS = 5.0, 4
"""Nobody waits for these calls: seconds for one attempt, and how many."""


class S3Letters:
    """The adapter of `Letters` on S3, by boto3: a mail is no chat."""

    def __init__(self, bucket: str) -> None:
        import boto3

        self._bucket = bucket
        self._client: Any = boto3.client("s3")

    def head(self, key: str, size: int) -> bytes:
        """See Letters (RFC 9110, section 14.1.2: a range may end past the object)."""
        found = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{size - 1}")
        with found["Body"] as body:
            return bytes(body.read(size))


def compose() -> Ports:
    """Wire everything from the environment."""
    here, clock = region(), SystemClock()
    dynamodb = AwsClient("dynamodb", region=here, timeout=_TIMEOUT, attempts=_ATTEMPTS)
    table = store_of(dynamodb, "requests", clock)
    secrets = Secrets(AwsClient("secretsmanager", region=here))
    intake = Intake(
        Cases(table),
        SesMail(AwsClient("email", region=here, timeout=_TIMEOUT), setting("MAIL_FROM")),
        clock,
        lambda: secrets.get(setting("SUBJECT_PEPPER_SECRET")),
        own=setting("MAIL_FROM"),
        portal=setting("PORTAL_URL"),
    )
    return Ports(intake, S3Letters(setting("MAIL_BUCKET")))
