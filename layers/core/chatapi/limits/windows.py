"""The counters of a project: which windows a moment falls into, and how they are named.

A window's id is part of the attribute's name and the limit is an attribute of the same item, so a cold function needs
no read to debit it. Two windows of a minute, half a minute apart, bound a burst across a boundary:

    r0  |-------- 0 --------|-------- 1 --------|
    r1  ----|-------- 0 --------|-------- 1 ----
        0   30  60          90  120   seconds
"""

from __future__ import annotations

import time
from typing import NamedTuple


class Window(NamedTuple):
    """One counter: its attribute, the attribute that holds its limit, and the seconds until it ends."""

    name: str
    limit: str
    remaining: float


def _minute(prefix: str, limit: str, now: float) -> tuple[Window, Window]:
    whole, shifted = int(now // 60), int((now - 30) // 60)
    return (
        Window(f"{prefix}0_{whole}", limit, (whole + 1) * 60 - now),
        Window(f"{prefix}1_{shifted}", limit, (shifted + 1) * 60 + 30 - now),
    )


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
    return Window("d_" + time.strftime("%y%m%d", time.gmtime(now)), "rpd", 86400 - now % 86400)


def tokens_per_month(now: float) -> Window:
    """The UTC month's token counter. Its remaining time is the day's: it ends no earlier; no client waits for it."""
    return Window("m_" + time.strftime("%y%m", time.gmtime(now)), "tpmo", 86400 - now % 86400)


def is_window(name: str) -> bool:
    """Whether an attribute of the item is a counter."""
    return name[:2] in ("d_", "m_") or (name[:1] in "rtp" and name[1:3] in ("0_", "1_"))


def expired(name: str, now: float) -> bool:
    """Whether a counter's window ended more than two minutes ago (so that clocks off by seconds never revive it)."""
    if not is_window(name):
        return False
    kind, _, stamp = name.partition("_")
    if kind in ("d", "m"):
        return stamp < time.strftime("%y%m%d" if kind == "d" else "%y%m", time.gmtime(now - 120))
    start = int(stamp) * 60 + (30 if kind[1] == "1" else 0)
    return start + 180 < now


def duration(seconds: float) -> str:
    """A duration as OpenAI's headers write it: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(seconds, 60)
    if minutes:
        return f"{int(minutes)}m{int(rest)}s"
    return f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
