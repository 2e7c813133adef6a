"""No text makes the detector slow: its patterns cannot backtrack far, and what it is asked is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat.redaction import checks, detect, numbers, placeholders
from chat.redaction.detect import Detector
from chatapi.redaction import KINDS
from tests.support.pem import mark

EVERYTHING = Detector(KINDS, ["Jane Doe"])
PIECES = [
    "@",
    "a",
    "1",
    "0",
    "+",
    "-",
    " ",
    ".",
    ":",
    "/",
    "//",
    "://",
    "(",
    "\\",
    "<",
    "%40",
    "DE89",
    "eyJ",
    "sk-",
    "_live_",
]
PIECES += [
    mark("BEGIN"),
    "password: ",
    "phone ",
    "4111 ",
    "::",
    "12",
    "ä",
    "٤",
    "\u00a0",
    "\n",
    "x@y.de",
]


def patterns(module: ModuleType) -> Iterator[re.Pattern[str]]:
    for value in vars(module).values():
        if isinstance(value, re.Pattern):
            yield value
    for each in (*getattr(module, "_LETTERED", ()), *sum(getattr(module, "_BY_SHAPE", {}).values(), ())):
        yield from (part for part in each if isinstance(part, re.Pattern))


def ways(parsed: Any) -> int:
    """An upper bound of how many ways of matching at one place could be tried by going back."""
    product = 1
    for operation, argument in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = argument
            assert high < 10_000, "a repetition without bounds that gives back"
            product *= max(1, (high - low + 1)) * max(1, ways(inner))
        elif name == "POSSESSIVE_REPEAT":
            ways(argument[2])
        elif name == "BRANCH":
            product *= sum(map(ways, argument[1]))
        elif name == "SUBPATTERN":
            product *= ways(argument[3])
        elif name in ("ASSERT", "ASSERT_NOT"):
            ways(argument[1])
    return product


def test_no_pattern_repeats_without_bounds_and_gives_back() -> None:
    found = [pattern for module in (checks, detect, numbers, placeholders) for pattern in patterns(module)]
    assert len(found) > 20
    for pattern in found:
        assert ways(re._parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)) <= 100_000, pattern.pattern[:60]  # type: ignore[attr-defined]


def test_the_check_would_find_a_pattern_that_runs_away() -> None:
    for runaway in (r"(a+)+b", r".*x", r"(?:a{1,400}){1,400}b"):
        try:
            assert ways(re._parser.parse(runaway)) <= 100_000  # type: ignore[attr-defined]
        except AssertionError:
            continue
        raise AssertionError(runaway)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), st.lists(st.sampled_from(PIECES), max_size=3))
def test_any_repetition_of_anything_comes_to_an_end(unit: list[str], end: list[str]) -> None:
    # given 8 KB of a few pieces over and over, then an end that may spoil a match
    text = ("".join(unit) * 8192)[:8192] + "".join(end)
    # then it is searched, and the finds are in order and apart
    spans = EVERYTHING.find(text)
    assert all(first.end <= second.start for first, second in pairwise(spans))


@given(st.text(max_size=400))
def test_any_text_is_searched_without_a_fault(text: str) -> None:
    for each in EVERYTHING.find(text):
        assert 0 <= each.start < each.end <= len(text)
