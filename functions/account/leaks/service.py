"""A report of leaked keys: end those that are ours, tell their owners, answer what the programme wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from account.leaks.signatures import KeysUnreachable, PublicKeys
from chatapi.clock import Clock, iso
from chatapi.errors import BadRequest, Forbidden, RequestTooLarge, Unavailable
from chatapi.keys import check_key
from chatapi.logs import log, log_error
from chatapi.mail import Mail
from chatapi.store.projects import Projects

MAX_BODY_BYTES = 512 * 1024
MAX_MATCHES = 500
_LONGEST = 512  # of a token or type; ours have 70 characters


class Addresses(Protocol):
    """The owners' addresses."""

    def get(self, project: str) -> str | None:
        """The address of a project's owner, None where none was given."""
        ...


@dataclass(frozen=True)
class Match:
    """One match of a report: what was found, and the partner's name for its pattern."""

    token: str
    type: str


class Leaks:
    """The service. `mint` checks a key's tag without I/O."""

    def __init__(
        self,
        keys: PublicKeys,
        projects: Callable[[], Projects],
        mint: Callable[[], bytes],
        addresses: Addresses,
        mailer: Mail,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._projects = projects
        self._mint = mint
        self._addresses = addresses
        self._mailer = mailer
        self._clock = clock

    def report(self, identifier: str | None, signature: str | None, body: bytes) -> list[dict[str, str]]:
        """Take a report. One label per match: `true_positive` for a key that was live, or that an earlier report ended;
        `false_positive` for all else. Repeating a report changes nothing and tells nobody again.

        RequestTooLarge, Forbidden (not signed by the partner: the body is not even parsed), Unavailable, BadRequest.
        """
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge("The report is larger than 512 KiB.")
        try:
            signed = self._keys.signed(identifier, signature, body)
        except KeysUnreachable:
            raise Unavailable("The signature cannot be checked at the moment. Try again.", retry_after=60) from None
        if not signed:
            raise Forbidden("The report is not signed by a known partner.", code="invalid_signature")
        matches = parse(body)
        ours = {token: self._ends(token) for token in dict.fromkeys(match.token for match in matches)}
        return [
            {
                "token_raw": match.token,
                "token_type": match.type,
                "label": "true_positive" if ours[match.token] else "false_positive",
            }
            for match in matches
        ]

    def _ends(self, token: str) -> bool:
        parts = check_key(self._mint(), token)
        if parts is None:
            return False  # nobody asked the store: a made-up key costs microseconds
        outcome = self._projects().leaked(parts.project, parts.kid, token)
        if outcome == "revoked":
            log("key_leaked", function="leaks", project=parts.project, outcome=outcome)
            self._tell(parts.project, parts.kid)
        return outcome != "unknown"

    def _tell(self, project: str, kid: str) -> None:
        """Mail the owner. The key is dead already: a fault here is logged for the operator and changes no answer."""
        try:
            address = self._addresses.get(project)
            if address is None:
                log("owner_not_told", level="error", function="leaks", project=project, outcome="no_address")
                return
            when = iso(self._clock.now())
            self._mailer.send(
                address, f"API key {kid} was found in public and is revoked", _TEXT.format(kid, project, when)
            )
        except Exception as error:  # noqa: BLE001 - see above
            log_error("owner_not_told", error, function="leaks", project=project, code=getattr(error, "code", None))


_TEXT = """The API key {0} of your project {1} was found in a public place and reported to us by a secret scanning
service. It was revoked at {2}: requests with it are refused from now on.

What to do: make a new key, replace the old one where you use it, and remove the old one from where it was published.
Look at the usage of your project for requests that were not yours, and revoke the keys that the leaked one may have
made. GET /v1/keys shows it with "revoked_reason": "leaked".
"""


def parse(body: bytes) -> list[Match]:
    """The matches of a report. BadRequest for what is none, RequestTooLarge above 500."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list):
        raise BadRequest("The report is a JSON array of matches.", code="invalid_json")
    if len(given) > MAX_MATCHES:
        raise RequestTooLarge("The report has more than 500 matches.")
    matches = []
    for entry in given:
        token, kind = (entry.get("token"), entry.get("type")) if isinstance(entry, dict) else (None, None)
        if not isinstance(token, str) or not isinstance(kind, str) or max(len(token), len(kind)) > _LONGEST:
            raise BadRequest("A match has a token and a type.", code="invalid_type")
        matches.append(Match(token, kind))
    return matches
