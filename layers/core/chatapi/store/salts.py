"""Salts that end with their UTC day: under one a name can be kept together for a day, and for no longer.

    salt#{date}     32 random bytes, made by the first who needs them; past its term at midnight, when reads do not see
                    it any more, and deleted by whoever makes the next day's

When the salt is gone, nobody can tell whom a hash stands for, or that hashes of two days stand for the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from chatapi.clock import Clock, day_of
from chatapi.store.items import Collision, Table

DAY = 86_400


class Salts:
    """The day's salt, asked for once a day by a warm function. `table` makes the catalogued table at the first need;
    `kind` is what the catalogue calls its rows."""

    def __init__(self, table: Callable[[], Table], clock: Clock, kind: str) -> None:
        self._table = table
        self._clock = clock
        self._kind = kind
        self._salt: tuple[str, bytes] = ("", b"")
        self._begins = float("-inf")

    def today(self) -> tuple[str, bytes]:
        """The date (`YYYYMMDD`) and its salt."""
        now = self._clock.now()
        if not self._begins <= now < self._begins + DAY:  # a flood asks often: the date is written out once a day
            date = day_of(now)
            self._salt = (date, self._of(date, now))
            self._begins = now - now % DAY
        return self._salt

    def _of(self, date: str, now: float) -> bytes:
        """The salt that stands, or a new one. Whoever makes it deletes the day's before."""
        salt = os.urandom(32)
        ends = int(now) - int(now) % DAY + DAY
        table = self._table()
        try:
            table.put({"pk": salt_pk(date), "kind": self._kind, "salt": salt, "ttl": ends}, absent=True)
        except Collision as standing:
            if standing.item is None:
                raise
            return bytes(standing.item["salt"])
        table.delete_all([(salt_pk(day_of(now - DAY)), None)])
        return salt


def salt_pk(date: str) -> str:
    """The key of a day's salt (`YYYYMMDD`)."""
    return "salt#" + date
