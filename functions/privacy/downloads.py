"""One-time links to exports. A token of 256 bits opens one export once, for ten minutes; only its SHA-256 is kept.

    GET …/requests/{id}/export ─▶ {url, expires_at}          url: /v1/privacy/downloads/{token}, no key needed
    GET url                    ─▶ the token is used up by one conditional update ─▶ 303 to S3, good for a minute

What is wrong, used, too late or erased looks the same from outside: 404.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import Protocol

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import NotFound
from chatapi.store.case_states import COMPLETED
from chatapi.store.cases import Case, Cases
from chatapi.store.items import Change, Collision, Table
from chatapi.store.keys import download_pk

LINK_SECONDS = 600
_REDIRECT_SECONDS = 60
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SK = "-"


class Downloads(Protocol):
    """Links to objects."""

    def link(self, key: str, seconds: int) -> str | None:
        """A URL that gives the object for `seconds`; None where it is gone."""
        ...


class Links:
    """The service. `table` is the catalogued Requests table."""

    def __init__(self, table: Table, cases: Cases, downloads: Downloads, clock: Clock) -> None:
        self._table = table
        self._cases = cases
        self._downloads = downloads
        self._clock = clock

    def make(self, case: Case) -> tuple[str, int]:
        """(token, when it expires) for a finished export. NotFound until there is one, and when it has ended."""
        now = int(self._clock.now())
        export = case.get("export")
        if case.status != COMPLETED or export is None or export["expires"] <= now:
            raise NotFound("There is no export of this request: not yet, or not any more.", code="export_not_available")
        token = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
        expires = min(now + LINK_SECONDS, export["expires"])
        row = {"pk": download_pk(_digest(token)), "sk": _SK, "kind": "download", "project": case.project}
        self._table.put({**row, "case": case.id, "expires": expires, "used": 0, "ttl": expiry("download", now)})
        return token, expires

    def follow(self, token: str) -> str:
        """Use a token up: where the bytes are, for a minute. NotFound for whatever is wrong with it."""
        if not _TOKEN.fullmatch(token):
            raise NotFound
        now = int(self._clock.now())
        change = Change(put={"used": now}, expect={"kind": "download", "used": 0})
        try:
            row = self._table.update(download_pk(_digest(token)), _SK, change)
        except Collision:
            raise NotFound from None
        if row["expires"] <= now:
            raise NotFound
        case = self._cases.get(row["project"], row["case"])
        export = case.get("export")
        if export is None or export["expires"] <= now:
            raise NotFound
        url = self._downloads.link(export["key"], _REDIRECT_SECONDS)
        if url is None:
            raise NotFound
        return url


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
