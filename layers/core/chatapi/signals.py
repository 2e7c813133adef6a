"""Signals of abuse: how often an address failed on a day, under a name that means nothing on another (COL-4, COL-2).

    salt#{date}             made by the first failure of a UTC day; ends with it (chatapi/store/salts.py)
    a#{date}#{hash}         HMAC-SHA256(salt, address): failures by kind, and by coarse class of client; 30 days

A request that succeeds leaves nothing. The address of one that fails is hashed at once and kept nowhere, not even in
memory; the client's own string becomes one of a few classes (COL-5). When the salt is gone, nobody can tell
which address a row is of, or that rows of two days are of the same one.

What it may cost, however many fail: per warm function one call a day for the salt, and at most 17 a half minute to
write down what was counted in between. Nothing fails because signals fail.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable

from chatapi.clock import Clock
from chatapi.logs import log_error
from chatapi.store.items import Change, Table
from chatapi.store.salts import Salts

FLUSH_SECONDS = 30.0
MOST_ROWS = 16
"""Addresses that one flush writes, those with the most failures; the others together are one row more."""
MOST_ADDRESSES = 64
"""Addresses kept apart between two flushes; what comes on top is counted as others."""
PAUSE_SECONDS = 60.0
"""How long signals rest after a fault of their own."""
OTHERS = "others"

FAILURES = ("unauthorized", "forbidden", "limited")
_CLASSES = (
    ("OpenAI/Python", "openai-python"),
    ("AsyncOpenAI/Python", "openai-python"),
    ("OpenAI/JS", "openai-node"),
    ("curl/", "curl"),
    ("python", "python"),
    ("Python", "python"),
    ("node", "node"),
    ("Go-http", "go"),
)


def client_class(agent: str | None) -> str:
    """The coarse class of a client, from its User-Agent: one of a dozen words, never a part of the string."""
    if not agent:
        return "none"
    if agent.startswith("Mozilla/"):
        return "browser-mobile" if "Mobile" in agent[:512] else "browser-desktop"
    return next((name for start, name in _CLASSES if agent.startswith(start)), "other")


class Signals:
    """Counts failures. `table` makes the catalogued Signals table at the first one: a function without any never loads
    what that takes."""

    def __init__(self, table: Callable[[], Table], clock: Clock) -> None:
        self._make = table
        self._table: Table | None = None
        self._clock = clock
        self._salts = Salts(self._store, clock, "salt")
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._flushed = clock.monotonic()
        self._rests_until = float("-inf")

    def note(self, failure: str, address: str | None, agent: str | None) -> None:
        """Count a failure (one of FAILURES) of an address. Never raises."""
        try:
            now = self._clock.monotonic()
            if address and now >= self._rests_until:
                self._count(failure, address, agent)
                if now - self._flushed >= FLUSH_SECONDS:
                    self._flush()
        except Exception as error:  # noqa: BLE001 - see the module: a request must not fail because of this
            self._counts.clear()
            self._rests_until = self._clock.monotonic() + PAUSE_SECONDS
            log_error("signals_failed", error, function="authorizer", code=getattr(error, "code", None))

    def _count(self, failure: str, address: str, agent: str | None) -> None:
        date, salt = self._salts.today()
        row = (date, hashed(salt, address))
        counts = self._counts.get(row)
        if counts is None:
            if len(self._counts) >= MOST_ADDRESSES:
                row = (date, OTHERS)
            counts = self._counts.setdefault(row, Counter())
        counts["n_" + failure] += 1
        counts["c_" + client_class(agent)] += 1

    def _store(self) -> Table:
        if self._table is None:
            self._table = self._make()
        return self._table

    def _flush(self) -> None:
        from chatapi.catalogue import expiry

        self._flushed = self._clock.monotonic()
        counts, self._counts = self._counts, {}
        ranked = sorted(counts.items(), key=lambda each: (each[0][1] == OTHERS, -each[1].total()))
        rows = dict(ranked[:MOST_ROWS])
        for (date, _), counted in ranked[MOST_ROWS:]:
            rows.setdefault((date, OTHERS), Counter()).update(counted)
        for (date, name), counted in rows.items():
            default = {"kind": "signal", "date": date, "ttl": expiry("signal", self._clock.now())}
            self._store().update(f"a#{date}#{name}", None, Change(default=default, add=dict(counted)))


def hashed(salt: bytes, address: str) -> str:
    """An address under a day's salt, 128 bits in hexadecimal. Of IPv6 the first 64 bits: a customer has that many."""
    if ":" in address:
        from ipaddress import ip_network

        address = str(ip_network((address.partition("%")[0], 64), strict=False).network_address)
    return hmac.digest(salt, address.encode("utf-8", "replace"), "sha256")[:16].hex()
