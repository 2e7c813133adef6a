"""The events of a streamed response: their order, their numbers, their types, and how a stream fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent

from chat.providers.base import (
    Event,
    Finish,
    Idle,
    ProviderBroken,
    Refusal,
    Served,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chat.providers.scripted import answer
from tests.support.chat_world import World, events, whole
from tests.support.strict import strictly

TOOL = {"type": "function", "name": "f"}


def checked(found: list[dict[str, Any]]) -> list[str]:
    """The types, once each event is as OpenAI's types have it and the numbers have no gap."""
    for event in found:
        strictly(ResponseStreamEvent, event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return [event["type"].removeprefix("response.") for event in found]


def test_a_text_has_its_events_in_order() -> None:
    # given
    world = World()
    world.provider.add(answer("Hel", "lo", prompt_tokens=9))
    # when
    made = world.respond(stream=True)
    found = events(made)
    # then
    assert made.headers["content-type"].startswith("text/event-stream")
    assert checked(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = found[-1]["response"]
    assert [event["delta"] for event in found if "delta" in event] == ["Hel", "lo"]
    assert response["output"][0]["content"][0]["text"] == found[6]["text"] == "Hello"
    assert response["output"][0] == found[8]["item"]
    assert found[0]["response"]["status"] == found[1]["response"]["status"] == "in_progress"
    assert found[0]["response"]["id"] == response["id"]
    assert response["usage"]["output_tokens"] == 2
    assert (world.used(), world.slots()) == (11, 0)


def test_calls_follow_the_text_and_end_with_their_arguments() -> None:
    # given two calls whose arguments come interleaved
    world = World()
    calls = [ToolStart(0, "a", "f"), ToolArguments(0, "{"), ToolStart(1, "b", "f"), ToolArguments(1, "{}")]
    world.provider.add([Text("So."), *calls, ToolArguments(0, "}"), Finish("tool_calls"), Usage(5, 4)])
    # when
    found = events(world.respond(stream=True, tools=[TOOL]))
    # then
    assert checked(found)[2:] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    output = found[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert [item["arguments"] for item in output[1:]] == ["{}", "{}"]
    assert [item["call_id"] for item in output[1:]] == ["a", "b"]
    assert {item["status"] for item in output} == {"completed"}


def test_a_model_that_declines_says_so_in_a_part_of_its_own() -> None:
    # given
    world = World()
    script = [Served(None, "flex"), Text("Well."), Refusal("No"), Refusal("."), Finish("stop"), Usage(1, 3)]
    world.provider.add(script, script, script)
    # when
    found = events(world.respond(stream=True))
    # then
    assert checked(found)[5:13] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
    ]
    last = found[-1]["response"]
    assert [item["content"][0]["type"] for item in last["output"]] == ["output_text", "refusal"]
    assert last["output"][1]["content"][0]["refusal"] == "No."
    assert last["service_tier"] == "flex"
    # and the same given whole, and streamed again from the store
    kept = whole(world.respond(store=True))
    strictly(Response, kept)
    assert [item["content"] for item in kept["output"]] == [item["content"] for item in last["output"]]
    again = events(world.call("GET", "/v1/responses/{id}", id=kept["id"], query={"stream": "true"}))
    assert again[-1]["response"] == kept
    checked(again)


def test_signs_of_life_are_comments_and_padding_is_asked_for() -> None:
    # given
    world = World()
    calls = [ToolStart(0, "c", "f"), ToolArguments(0, "{}")]
    world.provider.add([Idle(), Text("a"), Idle(), *calls, Finish("stop"), Usage(1, 1)])
    # when
    made = world.respond(stream=True, stream_options={"include_obfuscation": True}, tools=[TOOL])
    frames = b"".join(made.body).decode().split("\n\n")
    # then
    assert [frame for frame in frames if frame.startswith(":")] == [": ", ": "]
    data = [json.loads(frame.partition("data: ")[2]) for frame in frames if frame.startswith("event:")]
    deltas = [event for event in data if event["type"].endswith(".delta")]
    assert [len(event["delta"] + event["obfuscation"]) for event in deltas] == [32, 32]
    for event in data:
        strictly(ResponseStreamEvent, event)


def test_an_answer_that_was_cut_ends_as_incomplete() -> None:
    world = World()
    world.provider.add(answer("He", reason="length"))
    found = events(world.respond(stream=True))
    assert checked(found)[-1] == "incomplete"
    assert found[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_an_answer_without_a_word_still_has_its_message() -> None:
    world = World()
    world.provider.add(answer())
    assert checked(events(world.respond(stream=True)))[2:6] == [
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
    ]


@pytest.mark.parametrize("store", [False, True])
def test_a_stream_that_breaks_ends_with_an_error_and_a_failed_response(store: bool) -> None:
    # given
    world = World()
    world.provider.add([Text("He"), ProviderBroken()])
    # when
    found = events(world.respond(stream=True, store=store))
    # then
    assert checked(found)[-2:] == ["error", "failed"]
    error, failed = found[-2], found[-1]["response"]
    assert error.keys() == {"type", "code", "message", "param", "sequence_number"}
    assert error["code"] == "service_unavailable"
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert (failed["output"][0]["status"], failed["output"][0]["content"][0]["text"]) == ("incomplete", "He")
    # and what was used is settled, and nothing is kept
    assert world.slots() == 0
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}


def test_a_stream_that_nobody_reads_is_settled() -> None:
    world = World()
    world.provider.add(answer("a", "b"))
    made = world.respond(stream=True)
    made.body.close()  # type: ignore[attr-defined]
    assert world.slots() == 0
    assert world.provider.streams[0].closed


CONTENT = st.lists(
    st.one_of(st.text(max_size=5).map(Text), st.integers(0, 3).map(lambda index: ToolArguments(index, "x"))),
    max_size=12,
)


@given(CONTENT, st.sampled_from(["stop", "length", "content_filter", "tool_calls"]))
def test_whatever_a_model_says_the_events_add_up_to_the_response(content: list[Event], reason: Any) -> None:
    # given a provider's answer: each call starts before its arguments
    script: list[Event] = []
    known: dict[int, int] = {}
    for event in content:
        if isinstance(event, ToolArguments):
            if event.index not in known:
                known[event.index] = len(known)
                script.append(ToolStart(known[event.index], f"call_{len(known)}", "f"))
            script.append(ToolArguments(known[event.index], event.fragment))
        else:
            script.append(event)
    script += [Finish(reason), Usage(1, 1)]
    world = World()
    world.provider.add(script, script)
    # when it is streamed, and given whole
    found = events(world.respond(stream=True))
    response = whole(world.respond())
    # then the deltas are the items, the items the response, and both ways say the same
    checked(found)
    strictly(Response, response)
    last = found[-1]["response"]
    deltas: dict[str, str] = {}
    for event in found:
        if event["type"].endswith(".delta"):
            deltas[event["item_id"]] = deltas.get(event["item_id"], "") + event["delta"]
    said = {
        item["id"]: item["content"][0]["text"] if "content" in item else item["arguments"] for item in last["output"]
    }
    assert {name: text for name, text in said.items() if text} == {name: text for name, text in deltas.items() if text}
    done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert sorted(done, key=lambda item: str(item["id"])) == sorted(last["output"], key=lambda item: str(item["id"]))
    plain = [{k: v for k, v in item.items() if k != "id"} for item in last["output"]]
    assert plain == [{k: v for k, v in item.items() if k != "id"} for item in response["output"]]
    assert (last["status"], last["usage"]) == (response["status"], response["usage"])
