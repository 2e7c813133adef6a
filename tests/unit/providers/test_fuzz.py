"""The parsers of streams under fuzz: no crash, no silent truncation, and the cuts between packets do not matter."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers.eventstream import EventStreamDecoder, EventStreamError, Message
from chat.providers.sse import SseDecoder
from tests.support.campaign import examples
from tests.unit.providers.frames import encode

CUTS = st.lists(st.integers(1, 60), max_size=8)
LINES = st.sampled_from([b"data: a", b"data:b", b"data", b"event: x", b": comment", b"", b"\r", b"data: \xc3\xbc\r"])
BLOCKS = st.sampled_from([b"data: a\n\n", b"data: b\r\n\r\n", b"data: c\r\n\n", b"data: d\ndata: e\n\n", b": x\n\n"])


def cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in cuts:
        pieces.append(wire[at : at + size])
        at += size
    return [*pieces, wire[at:]]


@given(
    st.lists(LINES | st.binary(max_size=20), max_size=20).map(b"\n".join) | st.lists(BLOCKS, max_size=9).map(b"".join),
    CUTS,
)
@settings(max_examples=examples(250))
def test_sse_is_the_same_however_it_is_cut(wire: bytes, cuts: list[int]) -> None:
    whole, decoder = SseDecoder().feed(wire), SseDecoder()
    assert [event for piece in cut(wire, cuts) for event in decoder.feed(piece)] == whole


@given(st.lists(st.binary(max_size=60).filter(lambda data: b"\n" not in data and not data.endswith(b"\r"))))
@settings(max_examples=examples(250))
def test_no_event_is_lost(events: list[bytes]) -> None:
    wire = b"".join(b": x\n\ndata: " + event + b"\n\n" for event in events)
    assert SseDecoder().feed(wire) == events


messages = st.lists(
    st.tuples(
        st.dictionaries(st.text("abc:-", min_size=1, max_size=5), st.text(max_size=8), max_size=3),
        st.binary(max_size=50),
    ),
    max_size=4,
)


@given(messages, CUTS)
@settings(max_examples=examples(250))
def test_event_streams_are_the_same_however_they_are_cut(
    sent: list[tuple[dict[str, str], bytes]], cuts: list[int]
) -> None:
    wire, decoder = b"".join(encode(headers, payload) for headers, payload in sent), EventStreamDecoder()
    found = [message for piece in cut(wire, cuts) for message in decoder.feed(piece)]
    assert found == [Message(headers, payload) for headers, payload in sent]
    assert decoder.empty


@given(messages.filter(len), st.data())
@settings(max_examples=examples(250))
def test_damage_is_noticed_and_what_came_before_it_is_given(
    sent: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    # given a stream in which one bit is wrong, or which ends too early
    wires = [encode(headers, payload) for headers, payload in sent]
    wire = bytearray(b"".join(wires))
    at = data.draw(st.integers(0, len(wire) - 1))
    if data.draw(st.booleans()):
        wire[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del wire[at:]
    decoder, found, failed = EventStreamDecoder(), [], False
    try:
        found += decoder.feed(bytes(wire))
        found += decoder.feed(b"")
    except EventStreamError:
        failed = True
    # then the messages before the place are there, and the end is not taken for one
    whole, size = 0, 0
    while whole < len(wires) and size + len(wires[whole]) <= at:
        size += len(wires[whole])
        whole += 1
    assert found == [Message(headers, payload) for headers, payload in sent[:whole]]
    assert failed or not decoder.empty or size == at == len(wire)


@given(st.binary(max_size=300))
@settings(max_examples=examples(250))
def test_any_bytes_are_decoded_or_refused(noise: bytes) -> None:
    with contextlib.suppress(EventStreamError):
        EventStreamDecoder().feed(noise)
    SseDecoder().feed(noise)
