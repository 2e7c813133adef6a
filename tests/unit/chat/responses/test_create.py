"""POST /v1/responses over fakes: what goes to the model, what comes back, and what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from chat.providers.base import Finish, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from chatapi.clock import iso
from chatapi.errors import BadRequest, Forbidden, ModelNotFound, NotFound, RetentionNotPermitted, Unavailable
from tests.support.chat_world import PROJECT, World, subject_of, whole
from tests.support.strict import strictly

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
TWO_CALLS = (
    Text("Let me see."),
    ToolStart(0, "call_a", "weather"),
    ToolArguments(0, '{"city":'),
    ToolStart(1, "call_b", "weather"),
    ToolArguments(1, '{"city": "Graz"}'),
    ToolArguments(0, ' "Wien"}'),
    Finish("tool_calls"),
    Usage(11, 7, 3),
)
REFUSAL = {"type": "refusal", "refusal": "No."}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,"}


def sent(world: World) -> list[dict[str, Any]]:
    return list(world.provider.calls[-1].messages)


def test_a_string_is_a_message_and_the_answer_is_a_response() -> None:
    # given
    world = World()
    world.provider.add(answer("Hel", "lo", prompt_tokens=9))
    # when
    made = world.respond(instructions="Be brief.", metadata={"k": "v"}, max_output_tokens=20)
    response = whole(made)
    # then
    strictly(Response, response)
    assert sent(world) == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert world.provider.calls[-1].max_tokens == 20
    assert response["id"].startswith("resp_")
    assert response["status"] == "completed"
    [message] = response["output"]
    assert (message["role"], message["status"], message["content"][0]["text"]) == ("assistant", "completed", "Hello")
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (9, 2, 11)
    assert (response["metadata"], response["instructions"]) == ({"k": "v"}, "Be brief.")
    assert made.headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"


def test_an_unstored_response_makes_the_same_calls_as_an_unstored_chat() -> None:
    # given
    world = World()
    world.provider.add(answer("Hi"), answer("Hi"))
    # when
    whole(world.ask())
    calls, rows = len(world.projects.calls), set(world.rows.rows)
    whole(world.respond())
    # then one admission and one settle, the same day row, no Vault item, and nothing else
    assert len(world.projects.calls) == 2 * calls == 4
    assert set(world.rows.rows) == rows
    assert [row["requests"] for row in world.day_rows()] == [2]
    assert world.wraps.get(PROJECT, subject_of(PROJECT, "owner", PROJECT)) is None
    assert world.keys.calls == 0


def test_what_was_used_is_settled_as_for_a_chat() -> None:
    world = World()
    world.provider.add(answer("a", "b", prompt_tokens=10))
    whole(world.respond())
    assert (world.used(), world.slots()) == (12, 0)


def test_calls_are_items_in_their_order_and_their_outputs_go_back_to_the_model() -> None:
    # given
    world = World()
    world.provider.add(TWO_CALLS, answer("Sunny."))
    # when
    first = whole(world.respond(tools=[WEATHER], tool_choice="required"))
    strictly(Response, first)
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "sun"}
        for item in first["output"]
        if item["type"] == "function_call"
    ]
    turn = [{"role": "user", "content": "Hi"}, *first["output"], *outputs]
    second = whole(world.respond(tools=[WEATHER], input=turn))
    # then
    assert [item["type"] for item in first["output"]] == ["message", "function_call", "function_call"]
    assert [json.loads(item["arguments"])["city"] for item in first["output"][1:]] == ["Wien", "Graz"]
    assert second["output"][0]["content"][0]["text"] == "Sunny."
    calls = [
        {"id": f"call_{name}", "type": "function", "function": {"name": "weather", "arguments": arguments}}
        for name, arguments in (("a", '{"city": "Wien"}'), ("b", '{"city": "Graz"}'))
    ]
    assert sent(world) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_a", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_b", "content": "sun"},
    ]


def test_tools_and_formats_are_translated() -> None:
    # given
    world = World()
    world.provider.add(answer("{}"), answer("x"))
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    # when
    response = whole(world.respond(text={"format": schema}, temperature=0.5, top_p=0.5))
    strictly(Response, response)
    call = world.provider.calls[-1]
    # then
    inner = {"name": "s", "schema": {"type": "object"}, "strict": True}
    assert call.response_format == {"type": "json_schema", "json_schema": inner}
    assert (call.temperature, call.top_p) == (0.5, 0.5)
    assert response["text"]["format"] == schema
    # and of allowed tools only those are on offer
    other = {**WEATHER, "name": "other"}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "other"}]}
    response = whole(world.respond(tools=[WEATHER, other], tool_choice=choice))
    strictly(Response, response)
    assert [tool["function"]["name"] for tool in world.provider.calls[-1].tools or ()] == ["other"]
    assert world.provider.calls[-1].tool_choice == "auto"
    assert response["tool_choice"] == choice


@pytest.mark.parametrize(("reason", "details"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(reason: Any, details: str) -> None:
    world = World()
    world.provider.add(answer("He", reason=reason))
    response = whole(world.respond())
    strictly(Response, response)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": details})
    assert response["output"][0]["status"] == "incomplete"
    assert response["completed_at"] is None


def test_an_answer_without_a_word_is_a_message_without_one() -> None:
    world = World()
    world.provider.add(answer())
    response = whole(world.respond())
    assert response["output"][0]["content"][0]["text"] == ""
    strictly(Response, response)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"background": True}, "invalid_value", "background"),
        ({"prompt": {"id": "p"}}, "invalid_value", "prompt"),
        ({"truncation": "some"}, "invalid_value", "truncation"),
        ({"include": ["message.output_text.thoughts"]}, "invalid_value", "include[0]"),
        ({"top_logprobs": 3}, "invalid_value", "top_logprobs"),
        ({"top_logprobs": 21, "include": ["message.output_text.logprobs"]}, "invalid_value", "top_logprobs"),
        ({"include": ["message.output_text.logprobs"], "model": "bedrock-smollm2-135m"}, "unsupported_parameter",
         "include"),
        ({"tools": [{"type": "custom", "name": "f", "format": {"type": "grammar", "definition": "x"}}]},
         "invalid_value", "tools[0].format"),
        ({"tools": [{"type": "custom", "name": "f", "format": {
            "type": "grammar", "definition": "x", "syntax": "regex"}}]}, "unsupported_parameter", "tools[0].format"),
        ({"tools": [{"type": "custom"}]}, "missing_required_parameter", "tools[0].name"),
        ({"tools": [{"type": "custom", "name": "f"}], "tool_choice": {"type": "custom", "name": "g"}},
         "invalid_value", "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "invalid_value", "tools[0].type"),
        ({"input": []}, "empty_array", "input"),
        ({"input": None}, "missing_required_parameter", "input"),
        ({"input": [{"type": "reasoning", "summary": [{"type": "x"}]}]}, "invalid_value", "input[0].summary[0].type"),
        ({"input": [{"role": "user", "content": [REFUSAL]}]}, "invalid_value", "input[0]"),
        ({"input": [{"role": "assistant", "content": [IMAGE]}]}, "invalid_value", "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [REFUSAL]}]}, "invalid_value",
         "input[0].output[0]"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "invalid_value", "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x"}]}]}, "invalid_value",
         "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": 5}]}, "invalid_type", "input[0].content"),
        ({"max_output_tokens": 10**6}, "invalid_value", "max_output_tokens"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "tool_choice"),
        ({"reasoning": {"summary": "auto"}}, "invalid_value", "reasoning.summary"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "invalid_value", "previous_response_id"),
        ({"metadata": {"secret": 1}}, "invalid_type", "metadata"),
    ],
)  # fmt: skip
def test_what_is_not_offered_is_refused_by_name(body: dict[str, Any], code: str, param: str) -> None:
    world = World()
    with pytest.raises(BadRequest) as refused:
        world.respond(**body)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert world.provider.calls == []


def test_refusals_of_the_chat_are_refusals_here() -> None:
    world = World()
    with pytest.raises(ModelNotFound):
        world.respond(model="unknown")
    with pytest.raises(Unavailable):
        world.respond()
    world.retention = "none"
    for body in ({"store": True}, {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}):
        with pytest.raises(RetentionNotPermitted) as refused:
            world.respond(**body)
        assert refused.value.param == next(iter(body))


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_stored_content_comes_before_the_model_only_for_a_key_that_may_read_it(name: str) -> None:
    world = World()
    body = {"model": "smollm2-135m", "input": "Say it again.", name: "resp_1"}
    with pytest.raises(Forbidden):
        world.call("POST", "/v1/responses", body, scopes=("chat",))
    with pytest.raises(NotFound) as missing:
        world.call("POST", "/v1/responses", body)
    assert missing.value.param == name


def test_a_request_tightens_how_long_it_is_kept_and_has_a_receipt_for_it() -> None:
    # given
    world = World()
    world.provider.add(answer("x"))
    # when
    made = world.respond(store=True, data_handling={"ttl_seconds": 600, "receipt": True})
    response = whole(made)
    # then
    ends = int(world.clock.now()) + 600
    strictly(Response, response)
    assert (response["data_handling"]["retained"], response["data_handling"]["expires_at"]) == ("content", ends)
    assert {row["ttl"] for row in world.rows.rows.values() if row["kind"] in ("response", "locator")} == {ends}
    assert made.headers["data-handling"].startswith("retained=content; until=")
    with pytest.raises(RetentionNotPermitted):
        world.respond(store=True, data_handling={"retention": "none"})


def test_a_project_may_keep_for_some_days_alone() -> None:
    # given
    world = World(retention="history:2")
    ends = int(world.clock.now()) + 2 * 86400
    conversation = whole(world.call("POST", "/v1/conversations", {}))["id"]
    world.provider.add(answer("x"), answer("y"))
    # when
    first = whole(world.respond(store=True))
    world.clock.advance(60)
    made = world.respond(conversation=conversation)
    whole(made)
    # then nothing outlives that, and what is in a conversation ends with it: so says the receipt
    kinds = ("response", "conversation", "item", "locator")
    assert {row["ttl"] for row in world.rows.rows.values() if row["kind"] in kinds} == {ends}
    assert f"until={iso(ends)};" in made.headers["data-handling"]
    assert first["id"]
