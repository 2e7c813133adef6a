"""The clock as a port: limits, caches and legal deadlines take their time from here, never from the system directly."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. `now` is POSIX seconds (UTC), `monotonic` seconds from an arbitrary start that only grow."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow; for durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


class FixedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """The time it was set to."""
        return self._now

    def monotonic(self) -> float:
        """The same, so that durations and dates move together."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` (back, where negative: a clock step)."""
        self._now += seconds


def day_of(now: float) -> str:
    """The UTC day of a time as `YYYYMMDD`."""
    return time.strftime("%Y%m%d", time.gmtime(now))


def iso(now: float) -> str:
    """A time as RFC 3339 in UTC with seconds, e.g. `2026-11-23T10:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
