"""The mail port, its adapter on Amazon SES, and the shipped fake.

What is sent is plain text: no picture to load, no link that counts its readers.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple, Protocol

from chatapi.aws.calling import RestCaller
from chatapi.aws.errors import AwsError

MAX_ADDRESS = 254
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def is_address(text: str) -> bool:
    """Whether mail may go to `text`: one address in the form that HTML's `input type=email` takes (HTML Standard,
    "valid e-mail address"), at most 254 characters. There is no room for a second header, recipient or a name."""
    return len(text) <= MAX_ADDRESS and bool(_ADDRESS.fullmatch(text)) and ".." not in text.rpartition("@")[2]


class Mail(Protocol):
    """Sends a mail."""

    def send(self, to: str, subject: str, text: str) -> None:
        """Send `text` to one address. AwsError where it was not taken; ValueError where `to` is no address or `subject`
        has more than one line."""
        ...


class SesMail:
    """Mail through SES (Amazon SES API v2 reference, "SendEmail"). `client` is one of the service `email`; `sender` is
    an address whose domain is a verified identity there."""

    def __init__(self, client: RestCaller, sender: str) -> None:
        self._client = client
        self._sender = sender

    def send(self, to: str, subject: str, text: str) -> None:
        """See Mail. The client does not repeat what was sent and not answered: rather no mail than two."""
        _checked(to, subject)
        message = {
            "FromEmailAddress": self._sender,
            "Destination": {"ToAddresses": [to]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": subject, "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                    # RFC 3834, section 5: other programs do not answer what a program sent
                    "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                }
            },
        }
        headers = {"content-type": "application/json"}
        status, _, response = self._client.open(
            "POST", "/v2/email/outbound-emails", json.dumps(message).encode(), headers
        )
        response.read()
        if status != 200:
            raise AwsError("MailRefused", status)


class Sent(NamedTuple):
    """A mail that `MemoryMail` took."""

    to: str
    subject: str
    text: str


class MemoryMail:
    """Mail that goes nowhere: what was sent, in order."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def send(self, to: str, subject: str, text: str) -> None:
        """See Mail."""
        _checked(to, subject)
        self.sent.append(Sent(to, subject, text))


def _checked(to: str, subject: str) -> None:
    if not is_address(to):
        raise ValueError("not an address")
    if not subject.isprintable():
        raise ValueError("a subject has one line")
