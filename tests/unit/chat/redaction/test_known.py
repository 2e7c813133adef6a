"""Many known values at once: found as each by itself would be, in a bounded number of comparisons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.redaction.detect import Detector, TooManyValues
from chat.redaction.known import FEW, Known
from chat.redaction.placeholders import MOST_VALUES, Placeholders
from chatapi.redaction import KINDS

LETTERS = st.text("abc", min_size=1, max_size=6)
OTHERS = [f"other{number}" for number in range(FEW + 1)]


def known(values: list[str]) -> Known:
    made = Known()
    for value in values:
        made.add(value, value.upper())
    return made


@given(st.lists(LETTERS, max_size=12), st.text("abc", max_size=80))
def test_many_are_found_as_a_few_are(values: list[str], text: str) -> None:
    # the same values, beside so many others that they are looked for by the index
    few, many = known(values), known([*values, *OTHERS])
    assert len(few) <= FEW < len(many)
    assert sorted(many.spans(text)) == sorted(few.spans(text))


def test_the_work_is_bounded_where_all_begin_alike() -> None:
    made = Known(most=10_000)
    for size in range(1, 200):
        made.add("a" * size + "1")
    made.spans("b" * 100_000)
    with pytest.raises(TooManyValues):
        made.spans("a" * 1000)


def test_what_a_request_tells_of_thousands_of_values_holds_in_thousands_of_texts() -> None:
    # given as many values as are taken, which only the words before them give away, and as many other texts
    values = [f"{number:06d}xyz" for number in range(MOST_VALUES)]
    told = " ".join(f"password: {value}" for value in values)
    texts = [told, *values, *(f"{number} is nothing" for number in range(MOST_VALUES))]
    placeholders = Placeholders(Detector(KINDS), texts)
    assert len({placeholders.hide(text) for text in texts[1 : MOST_VALUES + 1]}) == MOST_VALUES
    # then none of them is sent from anywhere
    assert all(text.startswith("<CREDENTIAL_") for text in map(placeholders.hide, values))
    assert placeholders.hide(texts[-1]) == texts[-1]
