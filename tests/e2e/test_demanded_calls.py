"""The local model makes the calls that are demanded, `required` or named, whole and streamed, for the openai client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.local_stack import RunningStack

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "description": "Of a city", "parameters": CITY}}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
SHELL: Any = {"type": "custom", "custom": {"name": "shell", "description": "Runs a command"}}
NAMED: Any = {"type": "function", "function": {"name": "weather"}}
ASK: Any = [{"role": "user", "content": "Say hello to me in one word."}]  # nothing here asks for a tool
MODELS = ["smollm2-135m", "bedrock-smollm2-135m"]


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
@pytest.mark.parametrize("model", MODELS)
def test_a_demanded_call_is_made(stack: RunningStack, model: str, choice: Any) -> None:
    asked: Any = {"model": model, "messages": ASK, "tools": [CLOCK, WEATHER], "tool_choice": choice, "max_tokens": 200}
    with OpenAI(base_url=stack.info.base_url, api_key=stack.info.api_key, max_retries=0) as api:
        # when a call is demanded, then it is made, whole
        answered = api.chat.completions.create(**asked, stream=False).choices[0]
        called = [(call.function.name, call.function.arguments) for call in answered.message.tool_calls or ()]
        check(called, answered.message.content, answered.finish_reason, choice)
        # and streamed
        with api.chat.completions.stream(**asked) as stream:
            for _ in stream:
                pass
            told = stream.get_final_completion().choices[0]
        called = [(call.function.name, call.function.arguments) for call in told.message.tool_calls or ()]
        check(called, told.message.content, told.finish_reason, choice)


def check(called: list[tuple[str, str]], content: str | None, reason: str, choice: Any) -> None:
    """Calls alone, each of a tool on offer; each after its schema unless the answer was cut."""
    assert called
    assert not content
    assert {name for name, _ in called} <= ({"weather"} if choice is NAMED else {"weather", "clock"})
    if reason == "length":  # the model went on calling: all but the last call are whole
        called.pop()
    for name, arguments in called:
        given = json.loads(arguments)
        assert name == "clock" or isinstance(given["city"], str)


def test_a_custom_tool_and_a_response_are_held_to_it_too(stack: RunningStack) -> None:
    with OpenAI(base_url=stack.info.base_url, api_key=stack.info.api_key, max_retries=0) as api:
        choice: Any = {"type": "custom", "custom": {"name": "shell"}}
        done = api.chat.completions.create(
            model=MODELS[0], messages=ASK, tools=[WEATHER, SHELL], tool_choice=choice, max_tokens=200
        )
        assert {call.type for call in done.choices[0].message.tool_calls or ()} == {"custom"}
        function: Any = {"type": "function", **WEATHER["function"], "strict": False}
        response = api.responses.create(
            model=MODELS[0], input="Hello", tools=[function], tool_choice="required", max_output_tokens=200
        )
        assert {item.type for item in response.output} == {"function_call"}


def test_what_mini_stack_leaves_out_is_refused_by_its_name(stack: RunningStack) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with OpenAI(base_url=stack.info.base_url, api_key=stack.info.api_key, max_retries=0) as api:
        with pytest.raises(openai.BadRequestError) as caught:
            api.chat.completions.create(model=MODELS[1], messages=ASK, response_format=form, max_tokens=8)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "response_format")
