"""The counters of a project: which windows a moment falls into, and how they are named.

A window's id is part of the attribute's name and the limit is an attribute of the same item, so a cold function needs
no read to debit it. Two windows of a minute, half a minute apart, bound a burst across a boundary:

    r0  |-------- 0 --------|-------- 1 --------|
    r1  ----|-------- 0 --------|-------- 1 ----
        0   30  60          90  120   seconds

A key with limits of its own has counters of its own, its id before the stamp: `r0_<kid>_<minute>`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple


class Window(NamedTuple):
    """One counter: its attribute, the attribute that holds its limit, and the seconds until it ends. `key` is the
    attribute of the key whose own limit it is, empty for the project's."""

    name: str
    limit: str
    remaining: float
    key: str = ""

    def of_key(self, kid: str) -> Window:
        """The same window of a key's own limit."""
        kind, _, stamp = self.name.partition("_")
        return Window(f"{kind}_{kid}_{stamp}", self.limit, self.remaining, "k_" + kid)


NO_LIMIT = 10**15
"""The limit of spend, in micro-USD, of a project that has none: a thousand million dollars a month."""


def _minute(prefix: str, limit: str, now: float) -> tuple[Window, Window]:
    whole, shifted = int(now // 60), int((now - 30) // 60)
    return (
        Window(f"{prefix}0_{whole}", limit, (whole + 1) * 60 - now),
        Window(f"{prefix}1_{shifted}", limit, (shifted + 1) * 60 + 30 - now),
    )


def _stamps(now: float) -> tuple[str, str]:
    """The UTC day as `YYMMDD`, and its month as `YYMM`."""
    return _stamps_of(int(now // 86400))


@lru_cache(maxsize=8)
def _stamps_of(day: int) -> tuple[str, str]:
    date = time.strftime("%y%m%d", time.gmtime(day * 86400))
    return date, date[:4]


def requests_per_minute(now: float) -> tuple[Window, Window]:
    """The two request windows of `now`."""
    return _minute("r", "rpm", now)


def tokens_per_minute(now: float) -> tuple[Window, Window]:
    """The two token windows of `now`."""
    return _minute("t", "tpm", now)


def rights_per_minute(now: float) -> tuple[Window, Window]:
    """The windows of the privacy routes: a bucket of their own, since rights do not depend on the bill."""
    return _minute("p", "prm", now)


def requests_per_day(now: float) -> Window:
    """The UTC day's request counter."""
    return Window("d_" + _stamps(now)[0], "rpd", 86400 - now % 86400)


def tokens_per_month(now: float) -> Window:
    """The UTC month's token counter. Its remaining time is the day's: it ends no earlier; no client waits for it."""
    return Window("m_" + _stamps(now)[1], "tpmo", 86400 - now % 86400)


def spend_per_month(now: float) -> Window:
    """The UTC month's counter of micro-USD."""
    return Window("s_" + _stamps(now)[1], "smo", 86400 - now % 86400)


def is_window(name: str) -> bool:
    """Whether an attribute of the item is a counter."""
    return name[:2] in ("d_", "m_", "s_") or (name[:1] in "rtp" and name[1:3] in ("0_", "1_"))


def limit_of(item: Mapping[str, Any], window: Window) -> int:
    """The limit of a window as the project's item has it: 0 where it is absent, and no limit for an absent spend."""
    holder = (item.get(window.key) or {}).get("l", {}) if window.key else item
    return int(holder.get(window.limit, NO_LIMIT if window.limit == "smo" else 0))


_GRACE = 30.0
_KINDS = frozenset({"d_", "m_", "s_", "r0", "r1", "t0", "t1", "p0", "p1"})


def expired(name: str, now: float) -> bool:
    """Whether a counter's window ended half a minute ago: clocks off by 5 s never revive it, and few pile up."""
    if not is_window(name):
        return False
    kind, stamp = name.partition("_")[0], name.rpartition("_")[2]
    if kind in ("d", "m", "s"):
        return stamp < _stamps(now - _GRACE)[kind != "d"]
    start = int(stamp) * 60 + (30 if kind[1] == "1" else 0)
    return start + 60 + _GRACE < now


def all_expired(names: Iterable[str], now: float, current: Collection[str] = ()) -> list[str]:
    """Those of an item's attributes that are expired counters. `current` are known not to be, and not looked at."""
    return [name for name in names if name[:2] in _KINDS and name not in current and expired(name, now)]


def duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(seconds, 60)
    if minutes:
        return f"{int(minutes)}m{int(rest)}s"
    return f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
