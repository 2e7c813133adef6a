"""An upstream's stream that is cut, at every byte of it, is never taken for a whole one: what was said whole before the
cut arrives, and then an error, unless the model had said by then why it ended."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers.base import (
    Call,
    Event,
    Finish,
    Provider,
    ProviderBroken,
    ProviderUnavailable,
    Refusal,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from tests.support.campaign import examples
from tests.support.cut_upstream import Cut, bedrock, openai
from tests.unit.providers import frames

CALL = Call("m", ({"role": "user", "content": "hi"},), 50)
Said = list[tuple[bytes, Event | None]]
"""An upstream's frames, each with the event that it is."""

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
sizes = st.integers(1, 40) | st.just(1 << 16)


def openai_frame(delta: dict[str, Any] | None, reason: str | None = None, end: str = "\n", **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return f"data: {json.dumps({'choices': choices, **more}, ensure_ascii=False)}{end}{end}".encode()


@st.composite
def openai_answers(draw: st.DrawFn) -> Said:
    end = draw(st.sampled_from(["\n", "\r\n"]))
    said: Said = [(openai_frame({"role": "assistant", "content": ""}, end=end), None)]
    for text in draw(st.lists(texts, max_size=4)):
        said.append((openai_frame({"content": text}, end=end), Text(text)))
        said += [(f": ping{end}{end}".encode(), None)] * draw(st.integers(0, 1))
    if draw(st.booleans()):
        text = draw(texts)
        said.append((openai_frame({"refusal": text}, end=end), Refusal(text)))
    if draw(st.booleans()):
        start = {"index": 0, "id": "call_1", "function": {"name": "f"}}
        said.append((openai_frame({"tool_calls": [start]}, end=end), ToolStart(0, "call_1", "f")))
        text = draw(texts)
        more = {"index": 0, "function": {"arguments": text}}
        said.append((openai_frame({"tool_calls": [more]}, end=end), ToolArguments(0, text)))
    said.append((openai_frame({}, draw(st.sampled_from(["stop", "length"])), end=end), Finish("stop")))
    if draw(st.booleans()):
        said.append((openai_frame(None, usage={"prompt_tokens": 1, "completion_tokens": 2}, end=end), None))
    return [*said, (b"data: [DONE]\n\n", None)]


@st.composite
def bedrock_answers(draw: st.DrawFn) -> Said:
    said: Said = [(frames.START, None)]
    said += [(frames.text(text), Text(text)) for text in draw(st.lists(texts, max_size=4))]
    if draw(st.booleans()):
        start = {"toolUse": {"toolUseId": "t", "name": "f"}}
        said.append((frames.event("contentBlockStart", start=start, contentBlockIndex=1), ToolStart(0, "t", "f")))
        text = draw(texts)
        delta = {"toolUse": {"input": text}}
        more = frames.event("contentBlockDelta", delta=delta, contentBlockIndex=1)
        said.append((more, ToolArguments(0, text)))
    said.append((frames.stop(), Finish("stop")))
    return [*said, (frames.metadata(1, 2), None)]


def told(provider: Provider) -> tuple[list[Event], bool]:
    """What the caller of an adapter sees: the content, and whether it is told that this is all."""
    content: list[Event] = []
    finished = False
    try:
        for event in provider.open(CALL, timeout=10):
            finished = finished or isinstance(event, Finish)
            content += [event] if not isinstance(event, Finish | Usage) else []
    except (ProviderBroken, ProviderUnavailable):
        return content, False
    assert finished
    return content, True


@pytest.mark.parametrize(("adapter", "answers"), [(openai, openai_answers()), (bedrock, bedrock_answers())])
def test_a_stream_that_is_cut_anywhere_is_no_whole_answer(
    adapter: Callable[[Cut], Provider], answers: st.SearchStrategy[Said], record_property: Callable[[str, object], None]
) -> None:
    tried = 0

    @given(answers, sizes)
    @settings(max_examples=examples(3))
    def at_every_byte(said: Said, size: int) -> None:
        nonlocal tried
        wire = b"".join(frame for frame, _ in said)
        ends = list(itertools.accumulate(len(frame) for frame, _ in said))
        for end in range(len(wire) + 1):
            whole = [event for at, (_, event) in zip(ends, said, strict=True) if event is not None and at <= end]
            finished = any(isinstance(event, Finish) for event in whole)
            for clean in (True, False):
                content = [event for event in whole if not isinstance(event, Finish)]
                assert told(adapter(Cut(wire, end, clean, size))) == (content, finished), (end, clean)
                tried += 1

    at_every_byte()
    record_property("cases", f"{tried} cut streams")
