"""Story: subject ids are opaque, stable and tied to one project."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.vault import project_pepper, subject_id

SECRET = bytes(range(32))


def test_known_answer() -> None:
    """Pinned: a change of this value would orphan every stored subject."""
    pepper = project_pepper(SECRET, "Ab3dEf7h")
    assert subject_id(pepper, "user", "user-1") == "sub_osywv3fttlpvgxljpy5rhvhhohcmes6r"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_shape_never_contains_the_value_and_is_stable(value: str) -> None:
    pepper = project_pepper(SECRET, "p")
    found = subject_id(pepper, "user", value)
    assert re.fullmatch("sub_[a-z2-7]{32}", found)
    assert found == subject_id(pepper, "user", value)


def test_kind_project_secret_and_value_all_count() -> None:
    peppers = [project_pepper(SECRET, "p"), project_pepper(SECRET, "q"), project_pepper(bytes(32), "p")]
    ids = [subject_id(pepper, kind, value) for pepper in peppers for kind in ("user", "owner") for value in ("a", "A")]  # type: ignore[arg-type]
    assert len(set(ids)) == 12


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        project_pepper(b"short", "p")
