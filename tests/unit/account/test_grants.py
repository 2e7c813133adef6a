"""The law of grants: what a key makes is within what it has, for whatever anybody asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatapi.grants import Grant, canonical_cidr
from chatapi.keys import SCOPES


def lists(*entries: str) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from(entries), min_size=1, unique=True).map(tuple)


grants = st.builds(
    Grant,
    scopes=st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple),
    expires=st.none() | st.integers(1, 5),
    models=lists("a", "b", "c"),
    retention=st.sampled_from([None, "none", "history:1", "history:30"]),
    cidrs=lists("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "::/0", "2001:db8::/32", "2001:db8:1::/48"),
    rpm=st.none() | st.integers(1, 3),
    tpm=st.none() | st.integers(1, 3),
    spend=st.none() | st.integers(1, 3),
    redact=st.sampled_from([None, "email", "card email", "all"]),
)


@given(maker=grants, asked=grants, askers=st.lists(grants, min_size=1, max_size=20))
def test_no_chain_of_makers_widens(maker: Grant, asked: Grant, askers: list[Grant]) -> None:
    # given a chain of keys, each made by the one before where that was allowed
    last = maker
    for step in (asked, *askers):
        made = replace(step, scopes=maker.scopes[: len(step.scopes)]).within(last)
        last = made if made.wider(last) is None else last
    # then the last one opens no more than the first
    assert last.wider(maker) is None


@given(maker=grants, asked=grants)
def test_scopes_are_never_more_than_the_makers(maker: Grant, asked: Grant) -> None:
    allowed = asked.within(maker).wider(maker) != "scopes"
    assert allowed == (set(asked.scopes) <= set(maker.scopes))


@given(grant=grants)
def test_a_key_may_make_its_like(grant: Grant) -> None:
    assert grant.wider(grant) is None
    assert Grant(grant.scopes).within(grant) == grant


@given(
    maker=grants, field=st.sampled_from(["expires", "models", "retention", "cidrs", "rpm", "tpm", "spend", "redact"])
)
def test_to_have_no_restriction_is_wider_than_any(maker: Grant, field: str) -> None:
    assume(getattr(maker, field) is not None)
    free: dict[str, Any] = {**vars(maker), field: None}
    assert Grant(**free).wider(maker) == {"expires": "expires_at"}.get(field, field)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("2001:DB8:0::/32", "2001:db8::/32"), ("192.0.2.7/32", "192.0.2.7/32")],
)
def test_a_range_has_one_spelling(text: str, canonical: str) -> None:
    assert canonical_cidr(text) == canonical


@pytest.mark.parametrize("text", ["", "/", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "::/129", "fe80::%1/64", "a/8"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        canonical_cidr(text)
