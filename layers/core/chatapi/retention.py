"""Retention ceilings: how long content may be kept at most, by project, key and request; the tightest wins (MSG-2).

A ceiling is a word: `none` (nothing is kept), `history` (as long as policy/retention.toml says) or `history:N` (N days
at most, 1 to 3650).
"""

from __future__ import annotations

_DAY = 86_400
_LONGEST = 3650


def is_ceiling(word: str) -> bool:
    """Whether `word` is a ceiling."""
    head, colon, days = word.partition(":")
    if not colon:
        return head in ("none", "history")
    plain = days.isascii() and days.isdigit() and len(days) <= 4 and days[0] != "0"
    return head == "history" and plain and int(days) <= _LONGEST


def seconds(word: str) -> int | None:
    """The ceiling in seconds: 0 for `none`, None for `history`. What is no ceiling keeps nothing: fail closed."""
    if word == "history":
        return None
    if word == "none" or not is_ceiling(word):
        return 0
    return int(word.partition(":")[2]) * _DAY


def tightest(*words: str) -> str:
    """The tightest of some ceilings."""
    return min(words, key=_order)


def tighter(*limits: int | None) -> int | None:
    """The smallest of some numbers of seconds; None is no limit."""
    told = [limit for limit in limits if limit is not None]
    return min(told) if told else None


def _order(word: str) -> float:
    limit = seconds(word)
    return float("inf") if limit is None else limit
