"""Usage: who counts what, in which unit, and how it is told (docs/usage.md).

A day row of a data subject carries counters per key and model; a schedule adds them up into one row per project and
day that names nobody. From there on usage is numbers alone: a subject's erasure cannot be read out of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MAX_DAYS = 92
DEFAULT_DAYS = 30
GROUPS = ("day", "key", "model")
_PREFIX = "u_"
_LETTERS = "nicom"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Counts(NamedTuple):
    """What was used. Tokens; `tokens_in` includes the `cached` ones; cost in millionths of a US dollar."""

    requests: int = 0
    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    micro_usd: int = 0

    def plus(self, other: Iterable[int]) -> Counts:
        """The sum of the two."""
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))


By = dict[tuple[str, str], Counts]
"""Counts by (key id, model)."""


def counters(kid: str, model: str, counts: Counts) -> dict[str, int]:
    """The attributes that add `counts` to a row: `u_<key id>_<model>_<letter>`. Flat, since DynamoDB's ADD makes an
    attribute that is not there, but not the map around it. Zeros but the first are left out."""
    named = zip(_LETTERS, counts, strict=True)
    return {f"{_PREFIX}{kid}_{model}_{letter}": count for letter, count in named if count or letter == "n"}


def only_counters(row: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a row."""
    return {name: int(value) for name, value in row.items() if name.startswith(_PREFIX)}


def counted(row: Mapping[str, Any]) -> By:
    """What a row's counters say. A key id has two characters, so a name is read in one way."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for name, value in only_counters(row).items():
        model, _, letter = name[5:].rpartition("_")
        found.setdefault((name[2:4], model), {})[letter] = value
    return {by: Counts(*(each.get(letter, 0) for letter in _LETTERS)) for by, each in found.items()}


class BadPeriod(ValueError):
    """The period is none. `field` says which end of it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def days_between(start: str | None, end: str | None, now: float) -> list[str]:
    """The days from `start` to `end` (`YYYY-MM-DD`, both included, UTC) as `YYYYMMDD`. Without an end: until today;
    without a start: 30 days. BadPeriod for what is no date, for an end before the start, and above 92 days."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    last = _date("end", end) if end is not None else today
    first = _date("start", start) if start is not None else last - datetime.timedelta(days=DEFAULT_DAYS - 1)
    length = (last - first).days + 1
    if length < 1:
        raise BadPeriod("end", "end is before start.")
    if length > MAX_DAYS:
        raise BadPeriod("start", f"A period has at most {MAX_DAYS} days.")
    return [(first + datetime.timedelta(days=n)).strftime("%Y%m%d") for n in range(length)]


def _date(field: str, text: str) -> datetime.date:
    try:
        if len(text) == 10:  # fromisoformat takes other spellings of ISO 8601 too
            found = datetime.date.fromisoformat(text)
            if found.year >= 2000 and text.isascii() and text[4] == text[7] == "-":
                return found
    except ValueError:
        pass
    raise BadPeriod(field, "A date reads like 2026-11-23.")


def spelled(date: str) -> str:
    """`YYYYMMDD` as `YYYY-MM-DD`."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


def report(rows: Mapping[str, By], group_by: Iterable[str]) -> list[dict[str, Any]]:
    """Lines of usage, one per group, in the order of the groups' names. `rows`: day (`YYYYMMDD`) → what was counted."""
    wanted = [group for group in GROUPS if group in set(group_by)]
    totals: dict[tuple[str, ...], Counts] = {}
    for date, by in rows.items():
        for (kid, model), counts in by.items():
            names = {"day": spelled(date), "key": kid, "model": model}
            group = tuple(names[name] for name in wanted)
            totals[group] = totals.get(group, Counts()).plus(counts)
    columns = ["key_id" if name == "key" else name for name in wanted]
    return [
        {
            **dict(zip(columns, group, strict=True)),
            "requests": counts.requests,
            "input_tokens": counts.tokens_in,
            "cached_tokens": counts.cached,
            "output_tokens": counts.tokens_out,
            "cost_micro_usd": counts.micro_usd,
        }
        for group, counts in sorted(totals.items())
    ]


def to_csv(lines: list[dict[str, Any]], group_by: Iterable[str]) -> str:
    """The lines as CSV (RFC 4180), the header in every case. A text that a spreadsheet would take for a formula gets an
    apostrophe in front (OWASP, "CSV Injection")."""
    import csv  # the chat function counts with this module and writes none
    import io

    wanted = ["key_id" if name == "key" else name for name in GROUPS if name in set(group_by)]
    columns = [*wanted, "requests", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(line[name]) for name in columns] for line in lines)
    return out.getvalue()


def _cell(value: str | int) -> str | int:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
