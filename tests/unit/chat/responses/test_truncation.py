"""What is too long for the model's context loses its oldest items where `truncation` is auto."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response

from chat.providers.scripted import answer
from tests.support.chat_world import World, whole
from tests.support.strict import strictly

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def ask(world: World, **body: Any) -> dict[str, Any]:
    world.provider.add(answer("x"))
    response = whole(world.respond(**body))
    strictly(Response, response)
    return response


def said(world: World) -> list[str]:
    return [str(one["content"])[:1] for one in world.provider.calls[-1].messages]


def turns(*sizes: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": chr(97 + at) * size} for at, size in enumerate(sizes)]


def test_the_oldest_is_left_out_where_all_is_too_long() -> None:
    world = World()
    response = ask(world, truncation="auto", input=turns(9_000, 9_000, 9_000), instructions="I")
    assert said(world) == ["I", "b", "c"]
    assert response["truncation"] == "auto"
    # the same without it goes as it is: the model itself refuses it
    ask(world, input=turns(9_000, 9_000, 9_000))
    assert said(world) == ["a", "b", "c"]


def test_what_fits_is_whole_and_the_last_one_always_stays() -> None:
    world = World()
    ask(world, truncation="auto", input=turns(5_000, 5_000, 5_000))
    assert said(world) == ["a", "b", "c"]
    ask(world, truncation="auto", input=turns(5_000, 50_000))
    assert said(world) == ["b"]


def test_rules_stay_and_calls_go_with_their_results() -> None:
    world = World()
    ask(
        world,
        truncation="auto",
        tools=[WEATHER],
        input=[
            {"role": "developer", "content": "d" * 3_000},
            {"role": "user", "content": "u" * 20_000},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '"' + "x" * 20_000 + '"'},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
            {"role": "user", "content": "last"},
        ],
    )
    assert said(world) == ["d", "l"]


def test_the_result_of_a_call_that_comes_last_stays_with_its_call() -> None:
    world = World()
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '"' + "x" * 50_000 + '"'}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    ask(world, truncation="auto", tools=[WEATHER], input=[*turns(9_000), call, output])
    assert [one["role"] for one in world.provider.calls[-1].messages] == ["assistant", "tool"]


def test_instructions_count_by_their_bytes() -> None:
    world = World()
    ask(world, truncation="auto", input=turns(9_000, 100), instructions="\u5b57" * 5_000)
    assert said(world) == ["\u5b57", "b"]


def test_what_was_stored_is_left_out_as_well_and_what_is_kept_is_the_request() -> None:
    world = World()
    first = ask(world, store=True, input=turns(20_000))
    second = ask(world, store=True, truncation="auto", previous_response_id=first["id"], input=turns(9_000))
    assert said(world) == ["x", "a"]
    items = whole(world.call("GET", "/v1/responses/{id}/input_items", id=second["id"]))
    assert len(items["data"]) == 1
