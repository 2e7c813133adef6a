"""API keys: format, and the checks that need no store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.ids import ALPHABET, base62, completion_id, random62
from chatapi.keys import PREFIX, bearer, check_key, hash_key, mint_key

MINT, PEPPER = b"m" * 32, b"p" * 32
letters = st.text(ALPHABET, min_size=8, max_size=8)


@given(project=letters, kid=st.text(ALPHABET, min_size=2, max_size=2))
def test_a_minted_key_names_its_project_and_kid(project: str, kid: str) -> None:
    # given a key of this deployment, when it is checked, then it names its parts
    assert check_key(MINT, mint_key(MINT, project, kid)) == (project, kid)


@given(position=st.integers(len(PREFIX), len(PREFIX) + 56), letter=st.sampled_from(ALPHABET))
def test_any_mistyped_letter_is_refused(position: int, letter: str) -> None:
    # given a good key with one letter changed
    key = mint_key(MINT, "project1", "k1")
    mistyped = key[:position] + letter + key[position + 1 :]
    # when it is checked, then it is refused unless nothing changed
    assert (check_key(MINT, mistyped) is None) == (mistyped != key)


def test_a_forged_key_with_a_right_checksum_is_refused() -> None:
    # given a key minted elsewhere: its crc is right, its tag is not
    forged = mint_key(b"x" * 32, "project1", "k1")
    # when it is checked here, then it is refused
    assert check_key(MINT, forged) is None


@pytest.mark.parametrize("junk", ["", "sk-123", PREFIX, PREFIX + "a" * 57, PREFIX + "é" * 57, "x" * 70])
def test_junk_is_refused(junk: str) -> None:
    assert check_key(MINT, junk) is None


def test_the_store_keeps_a_hash_under_a_pepper() -> None:
    key = mint_key(MINT, "project1", "k1")
    assert len(hash_key(PEPPER, key)) == 32
    assert hash_key(PEPPER, key) != hash_key(b"q" * 32, key)


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), ("", None), (None, None)],
)
def test_the_bearer_token_is_read(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@given(first=st.floats(1.7e9, 4e9), later=st.floats(0.001, 1e8))
def test_completion_ids_sort_by_creation(first: float, later: float) -> None:
    one, two = completion_id(first), completion_id(first + later)
    assert len(one) == len("chatcmpl-") + 29
    assert one[:17] <= two[:17]


def test_random_ids_use_the_whole_alphabet_and_do_not_repeat() -> None:
    ids = {random62(24) for _ in range(500)}
    assert len(ids) == 500
    assert set("".join(ids)) == set(ALPHABET)


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        base62(62**3, 3)
