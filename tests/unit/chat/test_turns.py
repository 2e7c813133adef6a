"""Conversations that a schema lets through and that make no sense are refused by name, before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.requests import parse
from chat.responses import wire as responses
from chat.responses.translate import chat_request, full
from chatapi.errors import BadRequest

ASKED = {"role": "user", "content": "Hi."}


def calls(*ids: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids],
    }


def result(of: str | None) -> dict[str, Any]:
    return {"role": "tool", "content": "1"} | ({} if of is None else {"tool_call_id": of})


def read(*messages: dict[str, Any]) -> Any:
    return parse(json.dumps({"model": "m", "messages": messages}).encode())


@pytest.mark.parametrize(
    "messages",
    [
        [ASKED, calls("a"), result("a")],
        [ASKED, calls("a", "b"), result("b"), result("a"), ASKED],
        [ASKED, calls("a"), result("a"), result("a")],
        [ASKED, calls("a"), result("a"), calls("a"), result("a"), {"role": "assistant", "content": None}],
        [{"role": "system", "content": ""}, {"role": "user", "content": []}],
        [ASKED, {"role": "assistant", "refusal": "No."}, ASKED],
    ],
)
def test_conversations_as_clients_send_them(messages: list[dict[str, Any]]) -> None:
    assert len(read(*messages).messages) == len(messages)


@pytest.mark.parametrize(
    ("messages", "code", "param"),
    [
        ([{"role": "user"}], "missing_required_parameter", "messages[0].content"),
        ([ASKED, {"role": "system", "content": None}], "missing_required_parameter", "messages[1].content"),
        (
            [ASKED, calls("a"), {"role": "tool", "tool_call_id": "a"}],
            "missing_required_parameter",
            "messages[2].content",
        ),
        ([ASKED, {"role": "assistant"}], "missing_required_parameter", "messages[1].content"),
        ([ASKED, {"role": "assistant", "audio": {"id": "a"}}], "missing_required_parameter", "messages[1].content"),
        ([ASKED, {"role": "assistant", "tool_calls": []}], "missing_required_parameter", "messages[1].content"),
        ([ASKED, result("a")], "invalid_value", "messages[1].tool_call_id"),
        ([ASKED, result(None)], "invalid_value", "messages[1].tool_call_id"),
        ([ASKED, calls("a"), result("b")], "invalid_value", "messages[2].tool_call_id"),
        ([ASKED, calls("a"), result("a"), ASKED, result("a")], "invalid_value", "messages[4].tool_call_id"),
        ([ASKED, calls("a")], "invalid_value", "messages[1].tool_calls"),
        ([ASKED, calls("a", "b"), result("a"), ASKED], "invalid_value", "messages[1].tool_calls"),
        ([ASKED, calls("a"), calls("b"), result("b")], "invalid_value", "messages[1].tool_calls"),
    ],
)
def test_what_does_not_belong_together(messages: list[dict[str, Any]], code: str, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(*messages)
    assert (refused.value.code, refused.value.param) == (code, param)


CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "1"}


@pytest.mark.parametrize(
    ("items", "good"),
    [
        ([CALL, OUTPUT], True),
        ([CALL, ASKED, OUTPUT], True),  # as at OpenAI, where only messages have an order
        ([OUTPUT], False),
        ([OUTPUT, CALL], False),
        ([ASKED, CALL], False),
        ([CALL, {**OUTPUT, "call_id": "b"}], False),
    ],
)
def test_items_of_a_response(items: list[dict[str, Any]], good: bool) -> None:
    body = json.dumps({"model": "m", "input": items}).encode()
    request = responses.parse(responses.ResponseCreate, body)
    assert isinstance(request.input, list)
    given = [full(item) for item in request.input]
    if good:
        assert chat_request(request, given, store=False).messages
        return
    with pytest.raises(BadRequest) as refused:
        chat_request(request, given, store=False)
    assert (refused.value.code, refused.value.param) == ("invalid_value", "input")
