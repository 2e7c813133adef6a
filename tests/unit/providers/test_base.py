"""Whatever an upstream leaves out, a stream ends with one Finish and one Usage, or it is broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.providers.accepted import AcceptedStream, estimate_prompt_tokens
from chat.providers.base import (
    Call,
    CallMissing,
    Event,
    Finish,
    ProviderBroken,
    ProviderRejected,
    ProviderUnavailable,
    Refusal,
    Rejection,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)

CALL = Call("m", ({"role": "user", "content": "canary-" + "x" * 33},), 10, stop=("canary",), user="canary")


class Line:
    closed = 0
    finished = 0

    def close(self) -> None:
        self.closed += 1

    def finish(self) -> None:
        self.finished += 1


def play(*events: Event | ProviderBroken) -> Iterator[Event]:
    for event in events:
        if isinstance(event, ProviderBroken):
            raise event
        yield event


def drained(stream: AcceptedStream) -> tuple[list[Event], type[ProviderBroken] | None]:
    """What came, and what ended it."""
    got: list[Event] = []
    try:
        got.extend(iter(stream))
    except ProviderBroken as error:
        return got, type(error)
    return got, None


content = st.one_of(st.text(min_size=1).map(Text), st.just(ToolStart(0, "c", "f")), st.just(ToolArguments(0, "{")))
ending = st.one_of(st.builds(Finish, st.sampled_from(["stop", "length"])), st.builds(Usage, st.just(7), st.just(9)))


@given(st.lists(content | ending), st.booleans())
def test_the_ending_is_always_the_same(events: list[Event], breaks: bool) -> None:
    line = Line()
    got, broken = drained(AcceptedStream(play(*events, *([ProviderBroken()] if breaks else [])), line, CALL))

    assert broken == (None if any(isinstance(event, Finish) for event in events) else ProviderBroken)
    delivered = [event for event in events if not isinstance(event, Finish | Usage)]
    if broken:
        return
    assert got[:-2] == delivered
    assert isinstance(got[-2], Finish)
    assert isinstance(got[-1], Usage)
    told = [event for event in events if isinstance(event, Usage)]
    assert not told or got[-1] == told[-1]
    assert (line.finished, line.closed) == (1, 1)


@given(
    events=st.lists(content),
    reason=st.sampled_from(["stop", "tool_calls", "length", "content_filter"]),
    choice=st.sampled_from([None, "auto", "required", {"type": "function", "function": {"name": "f"}}]),
    declined=st.booleans(),
)
@example(events=[], reason="stop", choice="required", declined=False)
@example(events=[], reason="tool_calls", choice="required", declined=False)
@example(events=[], reason="length", choice="required", declined=False)
def test_an_answer_that_ended_by_itself_has_the_call_that_was_demanded(
    events: list[Event], reason: Any, choice: Any, declined: bool
) -> None:
    answered = [*events, *([Refusal("No.")] if declined else [])]
    asked = CALL._replace(tool_choice=choice)
    got, broken = drained(AcceptedStream(play(*answered, Finish(reason), Usage(7, 9)), Line(), asked))

    called = declined or any(isinstance(event, ToolStart) for event in events)
    missing = choice not in (None, "auto") and reason in ("stop", "tool_calls") and not called
    assert broken == (CallMissing if missing else None)
    assert got == [*answered, Finish(reason), Usage(7, 9)]  # what was used is told all the same


def test_an_estimate_counts_pieces_and_characters() -> None:
    events = play(Text("a"), ToolStart(0, "c", "f"), ToolArguments(0, "{}"), Finish("stop"))
    assert list(AcceptedStream(events, Line(), CALL))[-1] == Usage(10, 2)
    parts = [{"type": "text", "text": "x" * 8}, {"type": "image_url", "image_url": {"url": "data:"}}]
    assert estimate_prompt_tokens([{"content": parts}, {"content": None}]) == 2
    assert estimate_prompt_tokens([]) == 1


def test_leaving_the_iteration_hangs_up() -> None:
    line = Line()
    iterator = iter(AcceptedStream(play(Text("a"), Text("b"), Finish("stop")), line, CALL))
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert (line.finished, line.closed) == (0, 1)


def test_nothing_shows_content() -> None:
    shown = f"{CALL!r} {Text('canary')!r} {ToolStart(0, 'c', 'canary')!r} {ToolArguments(0, 'canary')!r}"
    assert "canary" not in shown
    assert str(ProviderRejected(Rejection.CONTEXT_LENGTH)) == "the model provider rejected the request"
    assert str(ProviderUnavailable()) == "the model provider is unavailable"


def test_events_are_values() -> None:
    assert Text("a") == Text("a")
    with pytest.raises(AttributeError):
        Text("a").text = "b"  # type: ignore[misc]
