"""A client that leaves after k tokens: settled is what the provider made until then, never above the limit, and no slot
stays. tests/contract/sdk/test_streaming_is_real.py tells it of real connections, where the function works on."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers.base import Call, Finish, ProviderBroken, Stream, Text, Usage
from chat.providers.scripted import ScriptedProvider
from chatapi.errors import Unavailable
from tests.support.campaign import examples
from tests.support.chat_world import World, frames
from tests.support.cut_upstream import Cut, openai
from tests.unit.providers.test_cut_streams import Said, openai_answers

PROMPT = 9
MOST = 300


class Model(ScriptedProvider):
    """Would say `would` tokens, and says no more than it is asked for."""

    def __init__(self, would: int, told: bool) -> None:
        super().__init__()
        self.would, self.told, self.made = would, told, 0

    def open(self, call: Call, *, timeout: float) -> Stream:
        self.made = min(self.would, call.max_tokens)
        usage = [Usage(PROMPT, self.made)] if self.told else []
        self.add([*[Text("t")] * self.made, Finish("stop"), *usage])
        return super().open(call, timeout=timeout)


@given(st.integers(0, MOST), st.integers(1, 2 * MOST), st.integers(1, MOST), st.booleans())
@settings(max_examples=examples(20))
def test_what_was_generated_is_settled(read: int, would: int, limit: int, told: bool) -> None:
    # given a model that may want to say more than the limit, and a connection that breaks once `read` of it was written
    model = Model(would, told)
    world = World(model)
    body = world.ask(stream=True, max_tokens=limit).body
    for _ in zip(range(read + 1), body, strict=False):  # the role comes first
        pass
    body.close()  # type: ignore[attr-defined]
    # then the tokens that the provider made are settled, to the token, and it makes none afterwards
    (stream,) = model.streams
    generated, ended = min(stream.delivered, model.made), stream.delivered > model.made
    assert generated == min(read, would, limit)
    assert world.used() == (PROMPT + model.made if told and ended else _estimate(world) + generated)
    assert world.used() <= world.account.reserved
    assert world.slots() == 0
    assert stream.closed
    assert [(row["requests"], row["tokens_out"]) for row in world.day_rows()] == [(1, generated)]


@given(st.integers(0, MOST), st.booleans())
@settings(max_examples=examples(20))
def test_a_provider_that_breaks_off_is_settled_like_a_client_that_leaves(made: int, stream: bool) -> None:
    world = World()
    world.provider.add([*[Text("t")] * made, ProviderBroken()])
    try:
        b"".join(world.ask(stream=stream, max_tokens=MOST).body)
    except Unavailable:
        assert not stream
    assert world.used() == _estimate(world) + made
    assert world.slots() == 0


class Cutting(ScriptedProvider):
    """The shipped adapter, whose upstream is cut."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self._cut = cut

    def open(self, call: Call, *, timeout: float) -> Stream:
        return openai(self._cut).open(call, timeout=timeout)


@given(openai_answers(), st.integers(0), st.booleans(), st.booleans())
@settings(max_examples=examples(50))
def test_a_caller_is_never_told_that_a_cut_answer_is_whole(
    said: Said, place: int, clean: bool, streaming: bool
) -> None:
    # given an upstream whose stream is cut somewhere
    wire = b"".join(frame for frame, _ in said)
    end = place % (len(wire) + 1)
    length, events = 0, []
    for frame, event in said:
        length += len(frame)
        events += [event] if event is not None and length <= end else []
    whole = any(isinstance(event, Finish) for event in events)
    text = "".join(event.text for event in events if isinstance(event, Text))
    world = World(Cutting(Cut(wire, end, clean)))
    # then what had come is there, and an error unless that was all
    try:
        answer = world.ask(stream=streaming)
        if streaming:
            found = frames(answer)
            chosen = [each["choices"][0] for each in found if "choices" in each]
            assert "".join(each["delta"].get("content") or "" for each in chosen) == text
            assert any(each["finish_reason"] for each in chosen) == whole
            assert (found[-1] == "[DONE]") == whole
            assert ("error" in found[-1]) != whole
        else:
            b"".join(answer.body)
            assert whole
    except Unavailable:
        assert not whole
        assert not streaming
    assert world.slots() == 0
    if not whole:
        assert world.used() == _estimate(world) + len(events)


def _estimate(world: World) -> int:
    """The estimate of the prompt: a token for each four bytes of the body."""
    return world.size // 4
