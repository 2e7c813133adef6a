"""Idempotency-Key on responses: what is sent twice is generated once, as for chat completions."""

from __future__ import annotations

from typing import Any

import pytest

from chat.providers.scripted import answer
from chatapi.errors import ApiError
from tests.support.chat_world import World, events, whole

KEY = "canary-key"


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_response_is_replayed_and_settled_once(stream: bool) -> None:
    world = World()
    world.provider.add(answer("Hel", "lo"))
    asked = {"store": True, "stream": stream}
    first = world.respond(KEY, **asked)
    response = events(first)[-1]["response"] if stream else whole(first)
    used, again = world.used(), world.respond(KEY, **asked)
    assert again.headers["idempotency-replayed"] == "true"
    assert (events(again)[-1]["response"] if stream else whole(again)) == response
    assert (len(world.provider.calls), world.used(), world.slots()) == (1, used, 0)
    assert KEY not in str(world.rows.rows)


def refusal(world: World, **body: Any) -> str:
    with pytest.raises(ApiError) as caught:
        world.respond(KEY, **body)
    world.account.settle(0)
    return caught.value.code or ""


def test_what_is_not_stored_is_not_replayed() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    texts = [whole(world.respond(KEY))["output"][0]["content"][0]["text"] for _ in range(2)]
    assert texts == ["a", "b"]


def test_a_key_stands_for_one_body_of_one_surface() -> None:
    world = World()
    world.provider.add(answer("a"))
    whole(world.respond(KEY, store=True))
    assert refusal(world, store=True, input="Another") == "idempotency_key_reused"
    both = {"messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "store": True}
    world = World()
    world.provider.add(answer("a"), answer("b"))
    whole(world.ask(KEY, **both))
    assert refusal(world, **both) == "idempotency_key_reused"


def test_a_second_request_waits_for_the_first_and_goes_on_once_it_failed() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    first = world.respond(KEY, stream=True)
    assert refusal(world, stream=True) == "idempotency_key_in_use"
    events(first)
    assert refusal(world, model="nobodys") == "model_not_found"
    assert events(world.respond(KEY, stream=True))[-1]["type"] == "response.completed"


def test_after_it_was_deleted_a_replay_is_not_found() -> None:
    world = World()
    world.provider.add(answer("a"))
    response = whole(world.respond(KEY, store=True))
    world.call("DELETE", "/v1/responses/{id}", id=response["id"])
    assert refusal(world, store=True) == "not_found"
