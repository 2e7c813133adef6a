"""The decoder agrees with botocore's, however the bytes are cut, and notices every damaged bit."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.eventstream import EventStreamDecoder, EventStreamError
from tests.unit.providers.frames import cut, encode, text

NUMBERS = {2: 8, 3: 16, 4: 32, 5: 64, 8: 64}
number = st.sampled_from(list(NUMBERS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(-(2 ** (NUMBERS[kind] - 1)), 2 ** (NUMBERS[kind] - 1) - 1))
)
header = st.one_of(st.booleans(), st.text(max_size=20), st.binary(max_size=20), number)
headers = st.dictionaries(st.text(min_size=1, max_size=10), header, max_size=4)
message = st.tuples(headers, st.binary(max_size=60))


@given(st.lists(message, max_size=4), st.lists(st.integers(0)))
def test_equal_to_botocore_for_any_cut(messages: list[tuple[dict[str, Any], bytes]], places: list[int]) -> None:
    data = b"".join(encode(*each) for each in messages)
    theirs = EventStreamBuffer()
    theirs.add_data(data)
    decoder = EventStreamDecoder()

    ours = [(found.headers, found.payload) for chunk in cut(data, places) for found in decoder.feed(chunk)]

    assert ours == [(found.headers, found.payload) for found in theirs]
    assert decoder.empty


@given(st.binary(min_size=1, max_size=40), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(payload: bytes, place: int, bit: int) -> None:
    whole = encode({":event-type": "x"}, payload)
    damaged = bytearray(whole)
    damaged[place % len(whole)] ^= 1 << bit
    with pytest.raises(EventStreamError):
        EventStreamDecoder().feed(bytes(damaged))


@given(st.integers(1))
def test_a_message_cut_short_is_no_end(place: int) -> None:
    whole = text("hello")
    decoder = EventStreamDecoder()
    assert decoder.feed(whole[: 1 + place % (len(whole) - 1)]) == []
    assert not decoder.empty


@pytest.mark.parametrize(
    "head",
    [
        b"\x01a\x0a",
        b"\x05ab",
        b"\x01a",
        b"\x01a\x07\x00\x09x",
        b"\x01a\x04\x00",
        b"\x01\xff\x00",
        b"\x01a\x00\x01a\x00",
    ],
)
def test_malformed_headers_are_refused(head: bytes) -> None:
    prelude = struct.pack("!II", 16 + len(head), len(head))
    body = prelude + struct.pack("!I", crc32(prelude)) + head
    with pytest.raises(EventStreamError):
        EventStreamDecoder().feed(body + struct.pack("!I", crc32(body)))
