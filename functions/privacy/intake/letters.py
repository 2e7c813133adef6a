"""What is read of a mail: its headers, and of them the few that say whom to answer and whether to answer at all.

The body is never read here. It stays in the bucket where SES put it, for the officer, until the bucket's term ends:
what is not parsed cannot be a bomb, and what is not copied need not be erased. Headers are bounded before they are
parsed.

Sources: RFC 3834 (automatic responses), RFC 5322; Amazon SES Developer Guide, "Contents of notifications for Amazon SES
email receiving".
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from typing import NamedTuple

from chatapi.mail import is_address

MAX_HEAD = 64 * 1024
_MAX_HEADERS, _MAX_FROM = 200, 1000
_MACHINES = ("mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply", "bounce", "bounces")
_MARKS = ("list-id", "list-unsubscribe", "x-auto-response-suppress", "x-autoreply", "x-loop", "feedback-id")


class NotALetter(Exception):
    """The bytes are no mail that could be answered. `reason` is a fixed word."""

    def __init__(self, reason: str) -> None:
        super().__init__("not a mail that is answered")
        self.reason = reason


class Letter(NamedTuple):
    """`sender`: the one address of From. `envelope`: whom the sending server named; empty for a bounce."""

    sender: str
    envelope: str


class Verdicts(NamedTuple):
    """What SES found: PASS, FAIL, GRAY or PROCESSING_FAILED each."""

    spf: str = "GRAY"
    dkim: str = "GRAY"
    dmarc: str = "GRAY"
    spam: str = "GRAY"
    virus: str = "GRAY"

    @property
    def harmful(self) -> bool:
        """Whether it is spam, or carries malware."""
        return "FAIL" in (self.spam, self.virus)

    def vouch(self, letter: Letter) -> bool:
        """Whether the domain of From is shown to have sent it: only then may an answer go there, or whoever forges a
        sender makes us mail to strangers. DMARC says so by itself; SPF is about the envelope, so the two must be of
        one domain; DKIM alone does not say which domain signed."""
        if self.dmarc == "PASS":
            return True
        return self.dmarc != "FAIL" and self.spf == "PASS" and domain_of(letter.envelope) == domain_of(letter.sender)


def verdicts_of(receipt: Mapping[str, Mapping[str, str]]) -> Verdicts:
    """The verdicts of SES's receipt; what it does not say counts as no verdict."""
    words = [str((receipt.get(name + "Verdict") or {}).get("status", "GRAY")) for name in Verdicts._fields]
    return Verdicts(*words)


def domain_of(address: str) -> str:
    """The domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


def read(head: bytes, envelope: str) -> Letter:
    """The letter that begins with `head` (at most MAX_HEAD bytes). NotALetter where it is none, or nobody wrote it."""
    if len(head) > MAX_HEAD:
        raise NotALetter("headers")
    end = min((at for at in (head.find(b"\r\n\r\n"), head.find(b"\n\n")) if at >= 0), default=-1)
    if end < 0 and len(head) == MAX_HEAD:
        raise NotALetter("headers")
    # Of the policies of `email` this is the one that only splits lines: the others parse every structured header.
    message: Message = BytesHeaderParser().parsebytes(head if end < 0 else head[:end])
    if len(message) > _MAX_HEADERS:
        raise NotALetter("headers")
    names = {name.lower() for name in message.keys()}  # noqa: SIM118 - a message is no mapping: iterating it fails
    if _automatic(message, names) or not is_address(envelope):
        raise NotALetter("automatic")
    senders = [str(value) for value in message.get_all("from", [])]
    if len(senders) != 1 or len(senders[0]) > _MAX_FROM:
        raise NotALetter("sender")
    addresses = [address for _, address in getaddresses(senders)]
    if len(addresses) != 1 or not is_address(addresses[0]):
        raise NotALetter("sender")
    local = addresses[0].partition("@")[0].lower()
    if local in _MACHINES:
        raise NotALetter("automatic")
    return Letter(addresses[0], envelope)


def _automatic(message: Message, names: set[str]) -> bool:
    """Whether a program wrote it: answering those is how loops begin."""
    submitted = str(message.get("auto-submitted", "no")).partition(";")[0].strip().lower()
    precedence = str(message.get("precedence", "")).strip().lower()
    kind = str(message.get("content-type", "")).partition(";")[0].strip().lower()
    return (
        submitted != "no"
        or precedence in ("bulk", "junk", "list", "auto_reply")
        or kind == "multipart/report"
        or any(mark in names for mark in _MARKS)
    )
