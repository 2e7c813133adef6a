"""Responses over fakes: probabilities, thoughts and custom tools."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.conversations import ConversationItem
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_item_list import ResponseItemList

from chat.providers.base import Event, Finish, Reasoning, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from tests.support.chat_world import World, events, whole
from tests.support.strict import strictly

LOGPROBS: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
SHELL = {"type": "custom", "name": "shell", "description": "Runs it."}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def token(text: str, raw: list[int] | None = None) -> dict[str, Any]:
    top = [{"token": text, "logprob": -0.5, "bytes": raw}]
    return {"token": text, "logprob": -0.5, "bytes": raw, "top_logprobs": top}


def ask(world: World, *script: Event, stream: bool = False, **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The response, and the events of it where it is streamed; everything is validated strictly."""
    world.provider.add(script)
    if not stream:
        response = whole(world.respond(**body))
        strictly(Response, response)
        return response, []
    found = events(world.respond(stream=True, **body))
    for event in found:
        strictly(ResponseStreamEvent, event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found[-1]["response"], found


@pytest.mark.parametrize("stream", [False, True])
def test_probabilities_where_they_are_asked_for(stream: bool) -> None:
    world = World()
    script = (Text("Hé", (token("H", [72]), token("é"))), Text("y", (token("y", [121]),)), Finish("stop"), Usage(3, 3))
    response, found = ask(world, *script, stream=stream, **LOGPROBS)
    # then the provider was asked for them
    extra = world.provider.calls[-1].extra
    assert (extra["logprobs"], extra["top_logprobs"], response["top_logprobs"]) == (True, 1, 1)
    # and they are those of the answer, whose bytes are never null
    [part] = response["output"][0]["content"]
    assert [one["token"] for one in part["logprobs"]] == ["H", "é", "y"]
    assert part["logprobs"][1]["bytes"] == part["logprobs"][1]["top_logprobs"][0]["bytes"] == [195, 169]
    told = [one["token"] for event in found for one in event.get("logprobs", ()) if event["type"].endswith("delta")]
    assert told == (["H", "é", "y"] if stream else [])


def test_probabilities_are_kept_and_played_again() -> None:
    world = World()
    response, _ = ask(world, Text("H", (token("H"),)), Finish("stop"), Usage(3, 1), store=True, **LOGPROBS)
    again = events(world.call("GET", "/v1/responses/{id}", query={"stream": "true"}, id=response["id"]))
    for event in again:
        strictly(ResponseStreamEvent, event)
    assert again[-1]["response"] == response
    assert whole(world.call("GET", "/v1/responses/{id}", id=response["id"])) == response


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_model_thinks_is_an_item_of_its_own(stream: bool) -> None:
    world = World()
    script = (Reasoning("Let me "), Reasoning("see."), Text("4"), Finish("stop"), Usage(3, 5, reasoning_tokens=4))
    response, found = ask(world, *script, stream=stream, store=True)
    thought, message = response["output"]
    assert (thought["type"], thought["status"], thought["summary"]) == ("reasoning", "completed", [])
    assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
    assert thought["id"].startswith("rs_")
    assert message["content"][0]["text"] == "4"
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 4
    if stream:
        kinds = [event["type"].removeprefix("response.") for event in found]
        assert kinds[2:8] == [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
        ]
    # and it is stored, played again, and input as it is: the next model is told nothing of it
    again = events(world.call("GET", "/v1/responses/{id}", query={"stream": "true"}, id=response["id"]))
    assert again[-1]["response"] == response
    turn = [{"role": "user", "content": "2+2?"}, *response["output"], {"role": "user", "content": "And 3+3?"}]
    ask(world, *answer("6"), input=turn)
    assert [one["role"] for one in world.provider.calls[-1].messages] == ["user", "assistant", "user"]
    assert "Let me see" not in str(world.provider.calls[-1].messages)


def test_thoughts_alone_end_in_a_message_without_a_word() -> None:
    for stream in (False, True):
        response, _ = ask(World(), Reasoning("Hm."), Finish("length"), Usage(3, 1), stream=stream)
        assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
        assert response["status"] == "incomplete"


CALLS: tuple[Event, ...] = (
    Reasoning("Which?"),
    ToolStart(0, "call_a", "shell"),
    ToolArguments(0, '{"input": "ls '),
    ToolStart(1, "call_b", "weather"),
    ToolArguments(1, "{}"),
    ToolArguments(0, '-l"}'),
    Finish("tool_calls"),
    Usage(11, 7),
)


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool_is_a_function_to_the_model_and_a_text_to_the_caller(stream: bool) -> None:
    world = World()
    response, found = ask(world, *CALLS, stream=stream, tools=[SHELL, WEATHER], store=True)
    offered, _ = world.provider.calls[-1].tools or ()
    assert (offered["type"], offered["function"]["name"]) == ("function", "shell")
    assert offered["function"]["parameters"]["required"] == ["input"]
    _, call, other = response["output"]
    assert {**call, "id": ""} == {
        "type": "custom_tool_call", "id": "", "call_id": "call_a", "name": "shell", "input": "ls -l"
    }  # fmt: skip
    assert call["id"].startswith("ctc_")
    assert (other["type"], other["arguments"]) == ("function_call", "{}")
    assert response["tools"][0] == {**SHELL, "format": {"type": "text"}}
    if stream:
        told = [event for event in found if "custom_tool_call_input" in event["type"]]
        assert [event.get("delta", event.get("input")) for event in told] == ["ls -l", "ls -l"]
    # what came of it goes back as of a function
    output = {"type": "custom_tool_call_output", "call_id": "call_a", "output": "total 0"}
    next_one, _ = ask(world, *answer("Nothing."), previous_response_id=response["id"], store=True, input=[output,
        {"type": "function_call_output", "call_id": "call_b", "output": "rain"}], tools=[SHELL])  # fmt: skip
    _, assistant, result, _ = world.provider.calls[-1].messages
    assert assistant["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"input": "ls -l"}'}
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "call_a", "total 0")
    items = whole(world.call("GET", "/v1/responses/{id}/input_items", id=next_one["id"]))
    strictly(ResponseItemList, items)


def test_a_model_that_writes_the_text_itself_is_understood() -> None:
    for arguments, text in (
        ("ls", "ls"),
        ('{"cmd": "ls"}', '{"cmd": "ls"}'),
        ('{"input": 5}', '{"input": 5}'),
        ("", ""),
    ):
        script = (ToolStart(0, "call_a", "shell"), ToolArguments(0, arguments), Finish("tool_calls"), Usage(1, 1))
        response, _ = ask(World(), *script, tools=[SHELL])
        assert response["output"][0]["input"] == text


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "custom", "name": "shell"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "shell"}]},
    ],
)
def test_a_custom_tool_is_chosen(choice: dict[str, Any]) -> None:
    world = World()
    ask(world, *answer("a"), tools=[SHELL, WEATHER], tool_choice=choice)
    call = world.provider.calls[-1]
    assert (call.tool_choice, [tool["function"]["name"] for tool in call.tools or ()]) == ("required", ["shell"])


def test_thoughts_and_custom_calls_are_items_of_a_conversation() -> None:
    world = World()
    conversation = whole(world.call("POST", "/v1/conversations", {}))["id"]
    ask(world, *CALLS, tools=[SHELL, WEATHER], conversation=conversation)
    page = whole(world.call("GET", "/v1/conversations/{id}/items", query={"order": "asc"}, id=conversation))
    for item in page["data"]:
        strictly(ConversationItem, item)
    kinds = ["message", "reasoning", "custom_tool_call", "function_call"]
    assert [item["type"] for item in page["data"]] == kinds
    for item in page["data"]:
        one = world.call("GET", "/v1/conversations/{id}/items/{item}", id=conversation, item=item["id"])
        assert whole(one) == item


def test_openais_own_helper_puts_thoughts_and_custom_calls_together() -> None:
    world = World()
    told = Text("Now", (token("Now"),))
    world.provider.add((CALLS[0], told, *CALLS[1:]))
    body = b"".join(world.respond(stream=True, tools=[SHELL, WEATHER], **LOGPROBS).body)

    def answered(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(answered)) as http:
        client = OpenAI(api_key="k", base_url="https://api.example/v1", http_client=http)
        with client.responses.stream(model="m", input="Hi") as stream:
            for _ in stream:
                pass
            response = stream.get_final_response()
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "custom_tool_call", "function_call"]
    assert response.output_text == "Now"
    assert [item.input for item in response.output if item.type == "custom_tool_call"] == ["ls -l"]
