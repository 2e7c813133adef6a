"""Lists of stored completions: what a page may ask for."""

from __future__ import annotations

import pytest

from chat.stored import paging
from chatapi.errors import BadRequest


def test_a_page_has_bounds_however_they_are_written() -> None:
    assert paging({}) == (20, False, None)
    assert paging({"limit": "100", "order": "desc", "after": "x"}) == (100, True, "x")


@pytest.mark.parametrize("limit", ["", "0", "101", "-1", "1.5", "\u00b2", "0" * 8 + "1" + "0" * 7, "9" * 5000])
def test_a_limit_outside_is_refused(limit: str) -> None:
    with pytest.raises(BadRequest) as caught:
        paging({"limit": limit})
    assert caught.value.param == "limit"
