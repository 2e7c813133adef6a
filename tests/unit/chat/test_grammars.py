"""A custom tool's grammar reaches a provider that holds the model to it, and its calls come back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.calling import call_of
from chat.entries import BadEntry
from chat.models import Registry
from chat.providers.base import Event, Finish, ToolArguments, ToolStart, Usage
from chat.requests import parse
from chatapi.catalogue import read_policy
from chatapi.errors import ApiError
from tests.support.chat_world import World, events, frames, whole

FLAT = {"definition": "start: /[a-z]+/", "syntax": "lark"}
HELD = {"type": "custom", "custom": {"name": "held", "format": {"type": "grammar", "grammar": FLAT}}}
FREE = {"type": "custom", "custom": {"name": "free"}}
WEATHER = {"type": "function", "function": {"name": "weather"}}
# Text that would be taken apart if it were read as the arguments of a function.
CALLS: tuple[Event, ...] = (
    ToolStart(0, "call_a", "held", custom=True),
    ToolArguments(0, '{"input":'),
    ToolArguments(0, ' "ls"}'),
    Finish("tool_calls"),
    Usage(11, 7),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    entry = {
        **{name: value for name, value in read_policy("models")["models"]["smollm2-135m"].items() if name != "extra"},
        "provider": "openai",
        "base_url": "http://127.0.0.1:1/v1",
        "capabilities": ["grammars", "tool_choice", "tools"],
    }
    monkeypatch.setitem(read_policy("models")["models"], "theirs", {**entry, "call_begins": ""})
    return World()


def test_a_call_after_a_grammar_comes_as_its_provider_made_it(world: World) -> None:
    # whole
    world.provider.add(CALLS, CALLS, CALLS)
    choice = {"type": "custom", "custom": {"name": "held"}}
    asked: dict[str, Any] = {"model": "theirs", "tools": [HELD, FREE, WEATHER], "tool_choice": choice}
    (call,) = whole(world.ask(**asked))["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_a", "type": "custom", "custom": {"name": "held", "input": '{"input": "ls"}'}}
    assert (world.provider.calls[0].tools, world.provider.calls[0].tool_choice) == ((HELD, FREE, WEATHER), choice)
    # streamed, in pieces
    deltas = [chunk["choices"][0]["delta"] for chunk in frames(world.ask(**asked, stream=True))[:-1]]
    pieces = [call["custom"]["input"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert pieces == ["", '{"input":', ' "ls"}']
    # as a response
    tool = {"type": "custom", "name": "held", "format": {"type": "grammar", **FLAT}}
    found = events(world.respond(model="theirs", tools=[tool], stream=True))
    (item,) = found[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", '{"input": "ls"}')
    assert world.provider.calls[-1].tools == (HELD,)


@given(st.lists(st.sampled_from([HELD, FREE, WEATHER]), min_size=1, max_size=3, unique_by=json.dumps))
def test_custom_tools_go_as_they_are_where_one_has_a_grammar(tools: list[dict[str, Any]]) -> None:
    made = {"id": "c", "type": "custom", "custom": {"name": "free", "input": "x"}}
    turn = {"role": "assistant", "content": None, "tool_calls": [made]}
    result = {"role": "tool", "content": "y", "tool_call_id": "c"}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, turn, result], "tools": tools}
    model = Registry("local", openai=True, region="eu-central-1").get("smollm2-135m", ())
    call = call_of(parse(json.dumps(body).encode()), model, user="u", cache_key="")
    kinds = [tool["type"] for tool in call.tools or ()] + [call.messages[1]["tool_calls"][0]["type"]]
    if HELD in tools:
        assert (list(call.tools or ()), call.messages[1]) == (tools, turn)
    else:
        assert set(kinds) == {"function"}


def test_a_grammar_that_holds_a_value_is_not_redacted_into_another_one(world: World) -> None:
    tool = {"type": "custom", "custom": {"name": "f", "format": {"type": "grammar", "grammar": {
        **FLAT, "definition": 'start: "jane.doe@example.com"'}}}}  # fmt: skip
    with pytest.raises(ApiError) as caught:
        world.ask(model="theirs", tools=[tool], data_handling={"redact": ["email"]})
    assert (caught.value.code, caught.value.param) == ("redaction_not_possible", "tools[0].custom.format")


def test_a_server_that_takes_no_grammar_is_not_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    models = read_policy("models")["models"]
    monkeypatch.setitem(models, "smollm2-135m", {**models["smollm2-135m"], "capabilities": ["tools", "grammars"]})
    with pytest.raises(BadEntry, match="grammars"):
        Registry("local", openai=True, region="eu-central-1")
