"""openai-python, unchanged, does its work with responses."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import CustomToolParam, FunctionToolParam, Response, ResponseStreamEvent
from openai.types.responses.response_item_list import ResponseItemList
from pydantic import BaseModel

from tests.contract.sdk.asking import shape
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.strict import strictly

ANSWER = "Hello from the scripted upstream."
TOOL: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": None,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": False,
}
CALLS = Script(pieces=("Let me",), tool_calls=(("weather", '{"city": "Wien"}'), ("weather", '{"city": "Graz"}')))


class Fact(BaseModel):
    name: str


def test_a_whole_response(client: OpenAI, live: Live, caller: Caller) -> None:
    # the first answer of a cold stack may cost a request that was sent twice
    client.responses.create(model=MODEL, input="Hello?")
    before = live.settled(caller.project)
    raw = client.responses.with_raw_response.create(model=MODEL, input="Hello?", instructions="Be brief.")
    response = raw.parse()

    strictly(Response, json.loads(raw.text))
    assert re.fullmatch(r"resp_[0-9A-Za-z]{29}", response.id)
    assert (response.output_text, response.status) == (ANSWER, "completed")
    assert response.usage
    assert raw.headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"
    assert "x-ratelimit-remaining-tokens" in raw.headers
    assert live.settled(caller.project) == before + response.usage.total_tokens


def test_the_events_of_a_stream_are_openais(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(CALLS)
    asking = client.responses.with_streaming_response
    with asking.create(model=MODEL, input="Hello?", tools=[TOOL], stream=True) as made:
        events = [json.loads(line[6:]) for line in made.iter_lines() if line.startswith("data: ")]

    for event in events:
        strictly(ResponseStreamEvent, event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call", "function_call"]


def test_the_stream_helper_puts_the_response_together(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(CALLS)
    with client.responses.stream(model=MODEL, input="Hello?", tools=[TOOL]) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        response = stream.get_final_response()

    assert text == response.output_text == "Let me"
    calls = [item for item in response.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Wien", "Graz"]


def test_a_tool_goes_round_without_anything_being_stored(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(CALLS)
    first = client.responses.create(model=MODEL, input="Hello?", tools=[TOOL])
    turn: list[Any] = [{"role": "user", "content": "Hello?"}, *first.output]
    turn += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sun"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = client.responses.create(model=MODEL, input=turn, tools=[TOOL])

    assert second.output_text == ANSWER
    assert [message["role"] for message in upstream.requests[1].body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]


def test_parse_gives_the_callers_own_type(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=('{"name": ', '"Ann"}')))
    response = client.responses.parse(model=MODEL, input="Who?", text_format=Fact)

    assert response.output_parsed == Fact(name="Ann")
    assert upstream.requests[0].body["response_format"]["json_schema"]["name"] == "Fact"


def test_stored_retrieved_continued_and_deleted(client: OpenAI, upstream: ScriptedUpstream) -> None:
    first = client.responses.create(model=MODEL, input="One", store=True, metadata={"k": "v"})
    second = client.responses.create(model=MODEL, input="Two", previous_response_id=first.id)

    assert client.responses.retrieve(first.id) == first
    sent = [message["content"] for message in upstream.requests[1].body["messages"]]
    assert sent == ["One", ANSWER, "Two"]
    assert second.previous_response_id == first.id
    raw = client.responses.input_items.with_raw_response.list(first.id)
    strictly(ResponseItemList, json.loads(raw.text))
    assert [item.type for item in client.responses.input_items.list(first.id)] == ["message"]
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.cancel(first.id)
    assert shape(refused.value) == (400, "invalid_request_error", "response_not_cancellable", "response_id")
    client.responses.delete(first.id)
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as missing:
            call(first.id)
        assert shape(missing.value) == (404, "invalid_request_error", "not_found", None)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)


def test_a_stored_response_is_streamed_again(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="One", store=True)
    with client.responses.stream(response_id=first.id) as stream:
        assert stream.get_final_response().output_text == ANSWER
    with client.responses.retrieve(first.id, stream=True, starting_after=2) as events:
        assert next(iter(events)).sequence_number == 3


def test_a_custom_tool_goes_round(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(tool_calls=(("shell", '{"input": "ls"}'),)), Script(echo=True))
    shell: CustomToolParam = {"type": "custom", "name": "shell"}
    with client.responses.stream(model=MODEL, input="List.", tools=[shell]) as stream:
        kinds = [event.type for event in stream]
        [call] = stream.get_final_response().output
    assert "response.custom_tool_call_input.done" in kinds
    assert call.type == "custom_tool_call"
    assert call.input == "ls"
    said: list[Any] = [{"role": "user", "content": "List."}, call.to_dict()]
    said.append({"type": "custom_tool_call_output", "call_id": call.call_id, "output": "nothing there"})
    assert client.responses.create(model=MODEL, input=said, tools=[shell]).output_text.strip() == "nothing there"


def test_what_is_sent_twice_is_generated_once(client: OpenAI, live: Live, caller: Caller) -> None:
    once = {"Idempotency-Key": "one"}
    first = client.responses.create(model=MODEL, input="Hello?", store=True, extra_headers=once)
    used = live.settled(caller.project)
    again = client.responses.with_raw_response.create(model=MODEL, input="Hello?", store=True, extra_headers=once)
    assert again.parse().id == first.id
    assert again.headers["idempotency-replayed"] == "true"
    assert live.settled(caller.project) == used


def test_what_is_too_long_loses_its_beginning(client: OpenAI, upstream: ScriptedUpstream) -> None:
    turns: list[Any] = [{"role": "user", "content": letter * 9_000} for letter in "abc"]
    response = client.responses.create(model=MODEL, input=turns, truncation="auto")
    assert response.truncation == "auto"
    assert [message["content"][0] for message in upstream.requests[-1].body["messages"]] == ["b", "c"]


def test_nobody_else_sees_it(client: OpenAI, live: Live) -> None:
    first = client.responses.create(model=MODEL, input="One", store=True)
    with OpenAI(base_url=live.base_url, api_key=live.project().api_key, max_retries=0) as stranger:
        for call in (
            lambda: stranger.responses.retrieve(first.id),
            lambda: stranger.responses.delete(first.id),
            lambda: stranger.responses.input_items.list(first.id),
        ):
            with pytest.raises(openai.NotFoundError) as missing:
                call()
            assert shape(missing.value) == (404, "invalid_request_error", "not_found", None)
        with pytest.raises(openai.NotFoundError) as missing:
            stranger.responses.create(model=MODEL, input="x", previous_response_id=first.id)
        assert shape(missing.value) == (404, "invalid_request_error", "not_found", "previous_response_id")
    reader = OpenAI(base_url=live.base_url, api_key=live.project(scopes=["history"]).api_key)
    with reader, pytest.raises(openai.PermissionDeniedError):
        reader.responses.create(model=MODEL, input="x")


def test_a_project_without_history_is_told_so(live: Live) -> None:
    with OpenAI(base_url=live.base_url, api_key=live.project(retention="none").api_key) as client:
        assert client.responses.create(model=MODEL, input="x").output_text == ANSWER
        for more in ({"store": True}, {"previous_response_id": "resp_x"}, {"conversation": "conv_x"}):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                client.responses.create(model=MODEL, input="x", **more)
            assert shape(refused.value) == (403, "permission_error", "retention_not_permitted", next(iter(more)))


def test_what_is_not_offered_is_refused_by_name(client: OpenAI) -> None:
    for more, param in (
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model=MODEL, input="x", **more)
        assert shape(refused.value) == (400, "invalid_request_error", "invalid_value", param)


def test_a_stream_that_breaks_says_so(client: OpenAI, upstream: ScriptedUpstream, live: Live, caller: Caller) -> None:
    upstream.script(Script(pieces=("a", "b", "c"), cut_after=2))
    with client.responses.create(model=MODEL, input="x", stream=True) as stream:
        events = list(stream)

    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert live.settled(caller.project) >= 2


def test_an_async_client_streams_too(live: Live, caller: Caller, upstream: ScriptedUpstream) -> None:
    async def story() -> tuple[str, str]:
        async with AsyncOpenAI(base_url=live.base_url, api_key=caller.api_key) as client:
            async with client.responses.stream(model=MODEL, input="Hello?") as stream:
                first = (await stream.get_final_response()).output_text
            return first, (await client.responses.create(model=MODEL, input="Hello?")).output_text

    assert asyncio.run(story()) == (ANSWER, ANSWER)
