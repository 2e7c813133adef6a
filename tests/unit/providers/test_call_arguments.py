"""The arguments of earlier calls, at servers that parse them: what is none of theirs to fail at never reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chat.fallback import rejected
from chat.providers.base import Call, ProviderRejected, Rejection
from chat.providers.converse import to_converse
from tests.support.openai_server import at
from tests.support.scripted_upstream import ScriptedUpstream

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def call_with(arguments: str) -> Call:
    function = {"name": "f", "arguments": arguments}
    asked: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]}
    return Call(
        "m", ({"role": "user", "content": "a"}, asked, {"role": "tool", "tool_call_id": "c", "content": "1"}), 5
    )


NO_OBJECTS = ["canary", '{"a": ', "[1]", '"canary"', "[" * 9999 + "]" * 9999]


@pytest.mark.parametrize("dialect", ["llama.cpp", "ollama", "vllm"])
@pytest.mark.parametrize("arguments", NO_OBJECTS)
def test_what_is_no_object_is_the_callers_fault(dialect: str, arguments: str, upstream: ScriptedUpstream) -> None:
    with pytest.raises(ProviderRejected) as refused:
        at(upstream.base_url, dialect).open(call_with(arguments), timeout=10)
    assert (refused.value.reason, refused.value.param) == (Rejection.CALL_ARGUMENTS, "messages")
    assert refused.value.__context__ is None
    assert not upstream.requests


@pytest.mark.parametrize("arguments", NO_OBJECTS)
def test_nor_has_converse_a_word_for_it(arguments: str) -> None:
    with pytest.raises(ProviderRejected) as refused:
        to_converse(call_with(arguments)._replace(tools=(TOOL,)))
    assert (refused.value.reason, refused.value.param) == (Rejection.CALL_ARGUMENTS, "messages")
    assert refused.value.__context__ is None


@pytest.mark.parametrize("arguments", ["", " "])
def test_none_are_none_for_converse(arguments: str) -> None:
    body = to_converse(call_with(arguments)._replace(tools=(TOOL,)))
    assert body["messages"][1]["content"][0]["toolUse"]["input"] == {}


def test_the_caller_is_told_what_is_wrong() -> None:
    said = rejected(Rejection.CALL_ARGUMENTS, "messages", "messages")
    assert (said.message, said.code, said.param) == (
        "The arguments of a tool call that was made before are not a JSON object.",
        "rejected_by_model",
        "messages",
    )


@pytest.mark.parametrize(
    ("dialect", "arguments", "told"),
    [("llama.cpp", "", "{}"), ("vllm", " ", "{}"), ("ollama", '{"a":1}', '{"a":1}'), ("openai", '{"a": ', '{"a": ')],
)
def test_what_they_are_told(dialect: str, arguments: str, told: str, upstream: ScriptedUpstream) -> None:
    list(at(upstream.base_url, dialect).open(call_with(arguments), timeout=10))
    [sent] = upstream.requests
    assert sent.body["messages"][1]["tool_calls"][0]["function"]["arguments"] == told
