"""How long the property tests search. `make prove` runs the campaign, of which the suites run one percent."""

from __future__ import annotations

import os

SCALE = int(os.environ.get("CHATAPI_CAMPAIGN", "1"))
FIRST = int(os.environ.get("CHATAPI_FIRST", "0"))
"""The first seed of a campaign that counts its rounds: one that was cut off goes on behind its last line."""
POINTS = os.environ.get("CHATAPI_POINTS", "")
"""The part of a campaign that has a list of points: 0-71 by their numbers, or some by their names, between blanks."""


def examples(count: int) -> int:
    """How many examples to try, where `count` is the suites' share."""
    return count * SCALE


def part_of(names: list[str]) -> list[int]:
    """The numbers of the points that CHATAPI_POINTS asks for, of all that there are."""
    if not POINTS:
        return list(range(len(names)))
    first, dash, last = POINTS.partition("-")
    if dash and first.isdigit() and last.isdigit():
        return list(range(int(first), min(int(last) + 1, len(names))))
    return [names.index(name) for name in POINTS.split()]
