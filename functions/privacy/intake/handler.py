"""Entry point of the mail intake: SES's event of a receipt rule, after the same rule has put the mail into its bucket
(Amazon SES Developer Guide, "Invoke Lambda function action")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from chatapi.logs import log, log_error
from chatapi.warm import Warm
from privacy.intake.letters import MAX_HEAD, NotALetter, read, verdicts_of
from privacy.intake.service import Intake

PREFIX = "inbound/"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Letters(Protocol):
    """The bucket of received mail."""

    def head(self, key: str, size: int) -> bytes:
        """The first `size` bytes of an object."""
        ...


@dataclass(frozen=True)
class Ports:
    """What the function works with."""

    intake: Intake
    letters: Letters


class IntakeFailed(Exception):
    """What Lambda gets to see of any failure; it tries again twice."""

    def __init__(self) -> None:
        super().__init__("a mail was not taken in; the log names the error's type and place")


def receive(ports: Ports, event: dict[str, Any]) -> dict[str, str | None]:
    """Take in the mail of an event: `{request, outcome}`."""
    (record,) = event["Records"]
    ses = record["ses"]
    name = str(ses["mail"]["messageId"])
    if not _NAME.fullmatch(name):
        return {"request": None, "outcome": "name"}
    try:
        letter = read(ports.letters.head(PREFIX + name, MAX_HEAD), str(ses["mail"].get("source") or ""))
    except NotALetter as refused:
        return {"request": None, "outcome": refused.reason}
    case, outcome = ports.intake.receive(PREFIX + name, letter, verdicts_of(ses["receipt"]))
    return {"request": case.id if case else None, "outcome": outcome}


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first mail, never at init."""
    from privacy.intake.composition import compose

    return compose()


def handler(event: dict[str, Any], context: object) -> dict[str, str | None]:
    """One mail. IntakeFailed for every failure: an event of SES holds addresses and a subject line."""
    del context
    try:
        result = receive(_composed(), event)
    except Exception as error:  # noqa: BLE001 - an error's text could quote a header
        log_error("mail_failed", error, function="mail")
        raise IntakeFailed from None
    log("mail", function="mail", outcome=result["outcome"], case=result["request"])
    return result
