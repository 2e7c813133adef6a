"""Several answers to one request: by index, settled by what each of them took."""

from __future__ import annotations

import pytest

from chat.providers.base import Finish, ProviderBroken, ProviderUnavailable, Text, ToolStart, Usage
from chat.providers.scripted import answer
from chatapi.errors import ApiError
from tests.support import openai_types
from tests.support.chat_world import PROJECT, World, frames, whole


def test_answers_come_by_index_and_are_settled_together() -> None:
    world = World()
    world.provider.add(*[answer(*"ab"[: count + 1], prompt_tokens=5) for count in (0, 1, 0)])
    done = whole(world.ask(n=3))
    openai_types.chat_completion(done)
    assert [(c["index"], c["message"]["content"]) for c in done["choices"]] == [(0, "a"), (1, "ab"), (2, "a")]
    assert done["usage"]["prompt_tokens"] == 15
    assert done["usage"]["completion_tokens"] == 4
    assert (world.used(), world.slots()) == (19, 0)
    assert [row["requests"] for row in world.day_rows()] == [1]


def test_a_stream_has_each_choice_whole_before_the_next() -> None:
    world = World()
    world.provider.add(answer("a", prompt_tokens=5), [ToolStart(0, "call_1", "f"), Finish("tool_calls"), Usage(5, 1)])
    events = frames(world.ask(n=2, stream=True, stream_options={"include_usage": True}))
    assert events.pop() == "[DONE]"
    for event in events:
        openai_types.chunk(event)
    last = events.pop()
    assert last["usage"]["total_tokens"] == 12
    told = [event["choices"][0] for event in events]
    assert [choice["index"] for choice in told] == [0, 0, 0, 1, 1, 1]
    assert [choice["finish_reason"] for choice in told] == [None, None, "stop", None, None, "tool_calls"]
    assert ["role" in choice["delta"] for choice in told] == [True, False, False, True, False, False]
    assert world.used() == 12


@pytest.mark.parametrize("failure", [ProviderUnavailable(), [Text("b"), ProviderBroken()]])
def test_a_later_answer_that_fails_is_an_error_and_the_earlier_ones_are_settled(failure: object) -> None:
    world = World()
    world.provider.add(answer("a", prompt_tokens=5), failure)  # type: ignore[arg-type]
    events = frames(world.ask(n=2, stream=True, store=True))
    assert events[-1]["error"]["code"] == "service_unavailable"
    assert world.slots() == 0
    assert world.used() >= 6
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}


def test_closing_the_stream_starts_no_further_answer() -> None:
    world = World()
    world.provider.add(answer("a", "b"), answer("c"))
    body = world.ask(n=2, stream=True).body
    next(body)
    next(body)
    body.close()  # type: ignore[attr-defined]
    assert len(world.provider.calls) == 1
    assert world.slots() == 0


def test_tokens_are_reserved_for_all_answers() -> None:
    world = World()
    world.item["tpm"] = 5000
    with pytest.raises(ApiError) as caught:
        world.ask(n=8, max_tokens=1000)
    assert (caught.value.status, world.provider.calls) == (429, [])


def test_all_answers_are_stored() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    done = whole(world.ask(n=2, store=True))
    kept = world.stored.retrieve(PROJECT, done["id"])
    openai_types.chat_completion(kept, stored=True)
    assert [choice["message"]["content"] for choice in kept["choices"]] == ["a", "b"]
