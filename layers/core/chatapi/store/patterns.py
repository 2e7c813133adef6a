"""Usage patterns of people who allowed it: coarse counts of one day, under a name of that day alone (COL-2, USE-3).

    u#{date}#{hash}     HMAC-SHA256(the day's salt, lp(project, subject)); 30 days

The row names neither project nor subject, and counts no tokens: with exact sums it could be matched with the subject's
own day rows, which name the subject. When the salt is gone (chatapi/store/salts.py), nobody can tell whom a row is of,
or that rows of two days are of the same person.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.store.items import Change, Item, Table
from chatapi.store.salts import Salts
from chatapi.vault.lp import lp

FEWEST = 5
"""Days with fewer people are not shown: of so few, a count can say too much about each."""
_SIZES = ((256, "short"), (4096, "medium"))


class Use(NamedTuple):
    """One request: its model's public id, which features it used, and how many tokens it took in all."""

    model: str
    features: tuple[str, ...] = ()
    tokens: int = 0

    def counters(self) -> dict[str, int]:
        """What it adds to a row."""
        size = next((name for most, name in _SIZES if self.tokens <= most), "long")
        return dict.fromkeys(
            ("n_requests", "n_" + size, *("n_" + name for name in self.features), "m_" + self.model), 1
        )


class Patterns:
    """The repository. `table`: catalogued Patterns."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._salts = Salts(lambda: table, clock, "pattern_salt")

    def count(self, project: str, subject: str, use: Use) -> None:
        """Count a request of a subject who allows it: whoever calls has asked."""
        date, salt = self._salts.today()
        name = hmac.digest(salt, lp("chatapi/pattern/v1", project, subject), "sha256")[:16].hex()
        default = {"kind": "pattern", "date": date, "ttl": expiry("pattern", self._clock.now())}
        self._table.update(f"u#{date}#{name}", None, Change(default=default, add=use.counters()))


def by_day(rows: Iterable[Item], now: float) -> list[dict[str, Any]]:
    """What an operator sees: per day how many people, their median of requests, and how many of them used a feature, a
    size or a model. Where that would be fewer than FEWEST people, nothing is said."""
    days: dict[str, list[Item]] = {}
    for row in rows:
        if row.get("kind") == "pattern" and row["ttl"] > now:
            days.setdefault(row["date"], []).append(row)
    return [_day(date, days[date]) for date in sorted(days)]


def _day(date: str, rows: list[Item]) -> dict[str, Any]:
    if len(rows) < FEWEST:
        return {"date": date, "people": None, "requests_median": None, "features": {}, "models": {}}
    shown = {"date": date, "people": len(rows), "requests_median": int(median(row["n_requests"] for row in rows))}
    for title, prefix in (("features", "n_"), ("models", "m_")):
        names = {name for row in rows for name in row if name.startswith(prefix)} - {"n_requests"}
        people = {name[2:]: sum(name in row for row in rows) for name in sorted(names)}
        shown[title] = {name: count for name, count in people.items() if count >= FEWEST}
    return shown
