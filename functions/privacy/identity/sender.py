"""The function that sends sign-in codes: it looks the owner's address up, and mails there and nowhere else.

Started by name of a challenge, asynchronously: whether there was an owner to mail, and how long that took, is not seen
by whoever asked. Lambda tries again twice where it fails; a later code replaces an earlier one.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chatapi.aws.errors import AwsError
from chatapi.logs import log, log_error
from chatapi.mail import Mail
from chatapi.warm import Warm
from privacy.identity.challenges import USED, Challenges
from privacy.identity.service import CODE_DIGITS, Hashes
from privacy.portal.words import words

_POSSIBLE = 10**CODE_DIGITS


class Addresses(Protocol):
    """Where owners can be reached."""

    def get(self, project: str) -> str | None:
        """The address of a project's owner."""
        ...


class SendingFailed(Exception):
    """The code could not be sent; Lambda tries again. Its text is fixed: the cause's could quote an address."""


@dataclass(frozen=True)
class Ports:
    """What the function works with."""

    challenges: Challenges
    contacts: Addresses
    hashes: Hashes
    mail: Mail


def random_code() -> str:
    """Eight uniformly random digits, from the system's generator."""
    while (number := int.from_bytes(os.urandom(4), "big")) >= (1 << 32) // _POSSIBLE * _POSSIBLE:
        pass  # the rest of the range would favour some codes
    return f"{number % _POSSIBLE:0{CODE_DIGITS}d}"


def send(ports: Ports, name: str, new_code: Callable[[], str] = random_code) -> bool:
    """Send the code of a challenge to the owner that it is about; whether one was sent."""
    challenge = ports.challenges.get(name)
    if challenge is None or challenge.state == USED:
        return False
    address = ports.contacts.get(challenge.project)
    target = ports.hashes.target(challenge.project, address or "")
    if not hmac.compare_digest(target, challenge.target) or address is None:
        return False
    code = new_code()
    if not ports.challenges.arm(name, ports.hashes.code(name, code)):
        return False
    text = words(challenge.language)
    link = f"{challenge.base}/code?c={name}&code={code}"
    ports.mail.send(address, text["mail.subject"], text["mail.text"].format(code=f"{code[:4]} {code[4:]}", link=link))
    return True


@Warm
def _composed() -> Ports:
    """The composition root: clients are made once per warm function, at the first event, never at init."""
    from privacy.identity.composition import compose_sender

    return compose_sender()


def handler(event: dict[str, Any], context: object) -> None:
    """Entry point: `{"challenge": id}`."""
    del context
    try:
        sent = send(_composed(), str(event["challenge"]))
    except Exception as error:  # noqa: BLE001 - an error's text could quote an address
        log_error("code_failed", error, function="identity", code=error.code if isinstance(error, AwsError) else None)
        raise SendingFailed from None
    log("code", function="identity", outcome="sent" if sent else "withheld")
