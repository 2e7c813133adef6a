"""Signed tokens: what a browser holds while a data subject is signed in, and what a portal link carries.

    base64url(canonical JSON) "." base64url(HMAC-SHA256(key of the audience, the first part))

Each audience has a key of its own, derived from the portal's secret, so a token of one kind is noise to the other. A
token names opaque ids and times, nothing that a person said.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chatapi.certificates import b64url, canonical
from chatapi.clock import Clock
from chatapi.vault import lp

SESSION, LINK, FORM = "session", "link", "form"
SESSION_SECONDS = LINK_SECONDS = 900
MAX_TOKEN = 1024
_SUBJECT = re.compile(r"sub_[a-z2-7]{32}")
_PROJECT = re.compile(r"[0-9A-Za-z]{8}")


@dataclass(frozen=True)
class Session:
    """Who is signed in: one data subject of one project, until `expires` (POSIX seconds). `id` names the token;
    `claim` is the id under which cases that came by mail know the address at which a code was read, else empty."""

    project: str
    subject: str
    owner: bool
    expires: int
    id: str
    claim: str = ""


def derived(secret: bytes, label: str) -> bytes:
    """A key for one use, from the portal's secret."""
    if len(secret) < 32:
        raise ValueError("the portal's secret has at least 32 bytes")
    return hmac.digest(secret, lp("chatapi/portal/v1", label), "sha256")


class Tokens:
    """Signs and opens them. `secret` gives the portal's secret, read at the first use."""

    def __init__(self, secret: Callable[[], bytes], clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, audience: str, session: Session) -> str:
        """The token of a session, for one audience."""
        payload = {
            "aud": audience,
            "clm": session.claim,
            "exp": session.expires,
            "jti": session.id,
            "own": session.owner,
            "prj": session.project,
            "sub": session.subject,
        }
        body = b64url(canonical(payload))
        return f"{body}.{b64url(self._mac(audience, body))}"

    def read(self, audience: str, token: str) -> Session | None:
        """The session of a token that we signed for this audience and that has not expired, else None."""
        body, dot, mac = token.partition(".")
        if not dot or len(token) > MAX_TOKEN or not token.isascii():
            return None
        if not hmac.compare_digest(b64url(self._mac(audience, body)), mac):
            return None
        session = _session(audience, body)
        return session if session is not None and self._clock.now() < session.expires else None

    def form_key(self, visitor: str, session: Session | None) -> str:
        """What a form must bring back to be ours: bound to the browser's own cookie and to who is signed in there."""
        return b64url(self._mac(FORM, f"{visitor}.{session.id if session else ''}"))

    def _mac(self, audience: str, text: str) -> bytes:
        return hmac.digest(derived(self._secret(), audience), text.encode(), "sha256")


def _session(audience: str, body: str) -> Session | None:
    """The session in a body whose signature holds. None where it is not what `issue` writes: another version's."""
    try:
        raw: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        session = Session(str(raw["prj"]), str(raw["sub"]), raw["own"] is True, int(raw["exp"]), str(raw["jti"]))
        session = replace(session, claim=str(raw["clm"]))
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    good = raw.get("aud") == audience and _PROJECT.fullmatch(session.project) and _SUBJECT.fullmatch(session.subject)
    good = good and (not session.claim or _SUBJECT.fullmatch(session.claim))
    return session if good else None
