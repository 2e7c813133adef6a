"""Events come out the same however the network cuts the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.sse import LONGEST_EVENT, SseDecoder
from tests.unit.providers.frames import cut

line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
noise = st.sampled_from([": heartbeat", "event: message", "id: 7", "retry: 1", "data", ":"])
event = st.lists(line, min_size=1, max_size=3)


@given(st.lists(event), st.lists(noise), st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0)), st.booleans())
def test_any_cut_gives_the_same_events(
    events: list[list[str]], noise: list[str], end: str, places: list[int], blank: bool
) -> None:
    text = "".join(f"{each}{end}" for each in noise)
    for lines in events:
        text += "".join(f"data:{' ' if blank or each.startswith(' ') else ''}{each}{end}" for each in lines) + end
    decoder = SseDecoder()

    decoded = [data for chunk in cut(text.encode(), places) for data in decoder.feed(chunk)]

    assert decoded == ["\n".join(lines).encode() for lines in events]


def test_an_unfinished_event_is_not_delivered() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: one\n\ndata: two\n") == [b"one"]
    assert decoder.feed(b"\n") == [b"two"]


def test_an_endless_event_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        SseDecoder().feed(b"data: " + b"x" * LONGEST_EVENT)
    decoder = SseDecoder()
    half = b"data: " + b"x" * (LONGEST_EVENT // 2 + 1) + b"\n"
    assert decoder.feed(half) == []
    with pytest.raises(ValueError, match="too long"):
        decoder.feed(half)
