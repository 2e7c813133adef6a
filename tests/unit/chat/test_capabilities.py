"""What a model cannot do is a 400 that names the parameter; what asks for nothing passes everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from chat.models import Registry
from chat.providers.scripted import answer
from chatapi.errors import ApiError
from tests.support.chat_world import World, whole

MODEL = "bedrock-smollm2-135m"
FILE = {"type": "file", "file": {"file_data": "data:,x"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "f"}}


def said(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


def refused(**body: Any) -> ApiError:
    world = World()
    with pytest.raises(ApiError) as caught:
        world.ask(**body)
    assert world.provider.calls == []
    return caught.value


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{**TOOL, "function": {"name": "f", "strict": True}}]}, "tools[0].function.strict"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ({"messages": [said({"type": "input_audio", "input_audio": {}})]}, "messages[0].content[0]"),
        (
            {"messages": [said({"type": "file", "file": {"file_data": "data:,x"}})]},
            "messages[0].content[0]",
        ),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_its_name(change: dict[str, Any], param: str) -> None:
    error = refused(model=MODEL, **change)
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", param)


def test_the_refusal_says_whether_another_model_would_help() -> None:
    for change, told in (
        ({"seed": 1}, "The model does not"),
        ({"functions": []}, "No model here"),
    ):
        error = refused(model=MODEL, **change)
        assert error.code == "unsupported_parameter"
        assert told in error.message


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": NAMED}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
    ],
)
def test_what_makes_no_sense_together_is_refused_by_its_name(change: dict[str, Any], param: str) -> None:
    error = refused(**change)
    assert (error.status, error.code, error.param) == (400, "invalid_value", param)


def test_what_asks_for_nothing_is_taken_and_sent_to_nobody() -> None:
    world = World()
    world.provider.add(answer("a"))
    nothing = {
        "n": 1,
        "logprobs": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "service_tier": "auto",
        "verbosity": "medium",
        "reasoning_effort": "none",
        "modalities": ["text"],
        "tool_choice": "none",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
        "prompt_cache_key": "k",
    }
    whole(world.ask(model=MODEL, **nothing))
    assert world.provider.calls[0].extra == {}
    assert world.provider.calls[0].tool_choice is None


def test_what_a_model_can_do_is_passed_on() -> None:
    world = World()
    world.provider.add(answer("a"))
    asked = {"logprobs": True, "top_logprobs": 2, "presence_penalty": 0.5, "logit_bias": {"5": 1}}
    whole(world.ask(tools=[TOOL], parallel_tool_calls=False, tool_choice=NAMED, seed=7, **asked))
    call = world.provider.calls[0]
    assert call.extra == {"cache_prompt": False, "parallel_tool_calls": False, **asked}
    assert call.seed == 7


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_become_fewer_tools_and_their_mode(mode: str) -> None:
    world = World()
    world.provider.add(answer("a"))
    tools = [{"type": "function", "function": {"name": name}} for name in "fg"]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [NAMED]}}
    whole(world.ask(tools=tools, tool_choice=choice))
    call = world.provider.calls[0]
    assert call.tools is not None
    assert [tool["function"]["name"] for tool in call.tools] == ["f"]
    assert call.tool_choice == mode


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_models_tell_what_they_can_do(stage: str) -> None:
    for model in Registry(stage, openai=True, region="eu-central-1").models.values():
        told = model.public()["chatapi"]
        assert told["capabilities"] == sorted(model.capabilities)
        assert told["training"] is False
