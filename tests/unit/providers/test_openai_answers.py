"""What the OpenAI-compatible adapter makes of tool calls and thoughts, whatever a server calls them."""

from __future__ import annotations

from typing import Any

from chat.providers.base import Finish, Reasoning, Text, ToolArguments, ToolStart, Usage
from tests.unit.aws.stub import Stub
from tests.unit.providers.test_openai_http import chunk, events_of


def test_tool_calls_are_numbered_from_zero_and_started_once(stub: Stub) -> None:
    def tool(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        return {"index": index, "function": {"name": more.pop("name", "again"), "arguments": arguments}, **more}

    events = events_of(
        stub,
        chunk({"role": "assistant", "content": None, "tool_calls": [tool(1, "", id="call_a", name="f")]}),
        chunk({"tool_calls": [tool(1, '{"x"', id="call_a")]}),
        chunk({"tool_calls": [tool(1, ":1}"), tool(4, "{}", id="call_b", name="g")]}),
        chunk({}, "tool_calls"),
        chunk(None, usage={"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}),
        b"data: [DONE]\n\n",
    )
    assert events == [
        ToolStart(0, "call_a", "f"),
        ToolArguments(0, '{"x"'),
        ToolArguments(0, ":1}"),
        ToolStart(1, "call_b", "g"),
        ToolArguments(1, "{}"),
        Finish("tool_calls"),
        Usage(9, 5, 4),
    ]


def test_what_the_model_thinks_is_told_apart_under_either_name(stub: Stub) -> None:
    # DeepSeek's and llama.cpp's name, vLLM's newer one, and an object that some gateways send, which is nobody's text
    events = events_of(
        stub,
        chunk({"reasoning_content": "let"}),
        chunk({"reasoning": " me"}),
        chunk({"reasoning_content": {"signature": "x"}}),
        chunk({"content": "a"}, "stop"),
        chunk(
            None,
            usage={
                "prompt_tokens": 3,
                "completion_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        ),
        b"data: [DONE]\n\n",
    )
    assert events == [
        Reasoning("let"),
        Reasoning(" me"),
        Text("a"),
        Finish("stop"),
        Usage(3, 3, reasoning_tokens=2),
    ]


def test_calls_of_custom_tools_are_texts(stub: Stub) -> None:
    pieces: list[dict[str, Any]] = [
        {"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "held", "input": ""}},
        {"index": 0, "custom": {"input": "l"}},
        {"index": 0, "custom": {"input": "s"}},
    ]
    found = events_of(stub, *(chunk({"tool_calls": [piece]}) for piece in pieces), chunk({}, "tool_calls"))
    assert found[:-2] == [ToolStart(0, "call_a", "held", custom=True), ToolArguments(0, "l"), ToolArguments(0, "s")]
