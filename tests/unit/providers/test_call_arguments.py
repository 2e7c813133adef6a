"""The arguments of earlier calls, at servers that parse them: what is none of theirs to fail at never reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chat.providers.base import Call, ProviderRejected, Rejection
from tests.support.openai_server import at
from tests.support.scripted_upstream import ScriptedUpstream


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


@pytest.mark.parametrize("dialect", ["llama.cpp", "ollama", "vllm"])
@pytest.mark.parametrize("arguments", ["canary", '{"a": ', "[1]", '"canary"', "[" * 9999 + "]" * 9999])
def test_what_is_no_object_is_the_callers_fault(dialect: str, arguments: str, upstream: ScriptedUpstream) -> None:
    with pytest.raises(ProviderRejected) as refused:
        at(upstream.base_url, dialect).open(call_with(arguments), timeout=10)
    assert (refused.value.reason, refused.value.param) == (Rejection.BAD_REQUEST, "messages")
    assert refused.value.__context__ is None
    assert not upstream.requests


@pytest.mark.parametrize(
    ("dialect", "arguments", "told"),
    [("llama.cpp", "", "{}"), ("vllm", " ", "{}"), ("ollama", '{"a":1}', '{"a":1}'), ("openai", '{"a": ', '{"a": ')],
)
def test_what_they_are_told(dialect: str, arguments: str, told: str, upstream: ScriptedUpstream) -> None:
    list(at(upstream.base_url, dialect).open(call_with(arguments), timeout=10))
    [sent] = upstream.requests
    assert sent.body["messages"][1]["tool_calls"][0]["function"]["arguments"] == told
