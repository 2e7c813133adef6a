"""Custom tools in chat completions: functions to the model, texts to the caller; what cannot be is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from chat.providers.base import Event, Finish, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from chatapi.errors import ApiError
from tests.support import openai_types
from tests.support.chat_world import World, frames, whole

SHELL = {"type": "custom", "custom": {"name": "shell", "description": "Runs it."}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
GRAMMAR = {"definition": "start: /[a-z]+/", "syntax": "lark"}
CALLS: tuple[Event, ...] = (
    Text("Now."),
    ToolStart(0, "call_a", "shell"),
    ToolArguments(0, '{"input": "l'),
    ToolArguments(0, 's"}'),
    ToolStart(1, "call_b", "weather"),
    ToolArguments(1, "{}"),
    Finish("tool_calls"),
    Usage(11, 7),
)


@pytest.mark.parametrize("store", [False, True])
def test_a_call_and_what_came_of_it(store: bool) -> None:
    # given
    world = World()
    world.provider.add(CALLS, answer("Done."))
    # when
    completion = whole(world.ask(tools=[SHELL, WEATHER], store=store))
    message = completion["choices"][0]["message"]
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": message["tool_calls"]},
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": "x"} for name in ("call_a", "call_b")]
    whole(world.ask(messages=[*history, *results], tools=[SHELL, WEATHER]))
    # then
    openai_types.chat_completion(completion)
    assert message["tool_calls"] == [
        {"id": "call_a", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ]
    first, second = world.provider.calls
    offered = (first.tools or ())[0]
    assert (offered["type"], offered["function"]["name"]) == ("function", "shell")
    assert offered["function"]["description"] == "Runs it."
    told = second.messages[1]["tool_calls"]
    assert [call["type"] for call in told] == ["function", "function"]
    assert told[0]["function"]["arguments"] == '{"input": "ls"}'
    if store:
        openai_types.chat_completion(world.stored.retrieve("project1", completion["id"]), stored=True)


@pytest.mark.parametrize("replayed", [False, True])
def test_a_stream_has_custom_calls_as_openai_sends_them(replayed: bool) -> None:
    # given
    world = World()
    world.provider.add(CALLS)
    body: dict[str, Any] = {"tools": [SHELL, WEATHER], "stream": True, "store": replayed}
    found = frames(world.ask(key="k" if replayed else None, **body))
    if replayed:
        assert world.provider.calls
        found = frames(world.ask(key="k", **body))
        assert len(world.provider.calls) == 1
    # then
    assert found[-1] == "[DONE]"
    for chunk in found[:-1]:
        openai_types.chunk(chunk)
    deltas = [call for chunk in found[:-1] for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    customs = [call for call in deltas if call["index"] == 0]
    assert customs[0] == {"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "shell", "input": ""}}
    assert customs[1:] == [{"index": 0, "custom": {"input": "ls"}}]
    others = [call for call in deltas if call["index"] == 1]
    assert others[0]["function"] == {"name": "weather", "arguments": ""}
    assert others[1:] == [{"index": 1, "function": {"arguments": "{}"}}]


def test_several_answers_have_calls_of_their_own() -> None:
    world = World()
    world.provider.add(CALLS, CALLS)
    completion = whole(world.ask(tools=[SHELL, WEATHER], n=2))
    assert [len(choice["message"]["tool_calls"]) for choice in completion["choices"]] == [2, 2]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "custom", "custom": {"name": "shell"}}, "required"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "custom", "custom": {"name": "shell"}}]}}, "auto"),
    ],
)  # fmt: skip
def test_it_is_chosen_by_its_name(choice: dict[str, Any], sent: Any) -> None:
    world = World()
    world.provider.add(answer("a"))
    whole(world.ask(tools=[SHELL, WEATHER], tool_choice=choice))
    call = world.provider.calls[0]
    assert call.tool_choice == sent
    assert [tool["function"]["name"] for tool in call.tools or ()] == ["shell"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar", "grammar": GRAMMAR}}}]},
         "unsupported_parameter", "tools[0].custom.format"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}}]},
         "invalid_value", "tools[0].custom.format"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "text", "grammar": GRAMMAR}}}]},
         "invalid_value", "tools[0].custom.format"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar", "grammar": {
            "definition": "x", "syntax": "peg"}}}}]}, "invalid_value", "tools[0].custom.format.grammar.syntax"),
        ({"tools": [SHELL, {"type": "function", "function": {"name": "shell"}}]}, "invalid_value", "tools"),
        ({"tools": [SHELL], "tool_choice": {"type": "custom", "custom": {"name": "other"}}}, "invalid_value",
         "tool_choice"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(body: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        World().ask(**body)
    assert (caught.value.code, caught.value.param) == (code, param)
