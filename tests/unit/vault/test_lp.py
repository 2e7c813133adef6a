"""Story: no two sequences of values share an encoding, and the strict decoder takes nothing but encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.vault.lp import decode, lp

texts = st.text(st.characters(exclude_categories=["Cs"]))
parts = st.lists(st.one_of(texts, st.binary(), st.integers()), max_size=6)


def test_the_documented_example() -> None:
    assert lp("a", b"bc", 7) == b"s1:ab2:bci1:7"
    assert lp("é", -12) == b"s2:\xc3\xa9i3:-12"
    assert lp() == b""


@given(parts)
def test_decode_inverts_encode_types_included(values: list[str | bytes | int]) -> None:
    decoded = decode(lp(*values))
    assert list(decoded) == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


@given(parts, parts)
def test_injective_and_concatenative(left: list[str | bytes | int], right: list[str | bytes | int]) -> None:
    same = left == right and [type(value) for value in left] == [type(value) for value in right]
    assert (lp(*left) == lp(*right)) == same
    assert lp(*left) + lp(*right) == lp(*left, *right)


def test_parts_cannot_be_cut_differently() -> None:
    encodings = [lp("ab", "c"), lp("a", "bc"), lp("abc"), lp("abc", ""), lp("", "abc"), lp(b"abc"), lp("s3:abc")]
    assert len(set(encodings)) == len(encodings)
    assert lp("1") != lp(1) != lp(b"1")


@given(parts, st.binary(min_size=1, max_size=4))
def test_trailing_bytes_are_rejected_unless_they_are_parts(values: list[str | bytes | int], tail: bytes) -> None:
    data = lp(*values) + tail
    try:
        decoded = decode(data)
    except ValueError:
        return
    assert lp(*decoded) == data


@given(st.binary(max_size=12))
def test_whatever_decodes_is_canonical(data: bytes) -> None:
    try:
        decoded = decode(data)
    except ValueError:
        return
    assert lp(*decoded) == data


@pytest.mark.parametrize(
    "data",
    [
        b"s1:", b"s1:ab", b"s01:a", b"s-1:a", b"s+1:a", b"s 1:a", b"x1:a", b"s1a", b"s:", b"i2:07", b"i2:-0", b"i0:",
        b"i2:+7", b"i1: ", b"s1:\xff", b"s99999999999:a", b"s1:a\n", "s\u0661:a".encode(),
    ],
)  # fmt: skip
def test_non_canonical_forms_are_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a canonical encoding"):
        decode(data)


@pytest.mark.parametrize("value", [True, None, 1.5, bytearray(b"a"), ("a",)])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        lp(value)  # type: ignore[arg-type]
