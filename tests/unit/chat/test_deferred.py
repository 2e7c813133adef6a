"""Shapes that are built at first use say what they would have said, and are not built before."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from chat import deferred, wire
from chatapi.errors import BadRequest


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def test_a_plain_chat_builds_no_deferred_shape() -> None:
    # given adapters as at a start; when a chat without tools is read, then none of its shapes has been built
    for annotation in _annotations():
        annotation.__dict__.pop("_adapter", None)
    wire.parse(body(tool_choice="auto"))
    assert not any("_adapter" in annotation.__dict__ for annotation in _annotations())

    # and the first one with tools builds those alone
    wire.parse(body(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert sum("_adapter" in annotation.__dict__ for annotation in _annotations()) == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        (
            {"tools": [{"type": "function", "function": {"name": "no spaces"}}]},
            "tools[0].function.name",
            "invalid_value",
        ),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [{"type": "custom", "custom": {"name": 1}}]}, "tools[0].custom.name", "invalid_type"),
        ({"tool_choice": {"type": "function", "function": {"name": 1}}}, "tool_choice", "invalid_type"),
        ({"response_format": {"type": "xml"}}, "response_format", "invalid_value"),
    ],
)
def test_a_fault_inside_keeps_its_place(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        wire.parse(body(**fields))

    assert (refused.value.param, refused.value.code) == (param, code)


def test_a_text_is_no_number_there_either() -> None:
    # given a shape in strict mode: what JSON sends as a text is not read as a boolean
    with pytest.raises(BadRequest) as refused:
        wire.parse(body(tools=[{"type": "function", "function": {"name": "f", "strict": "true"}}]))

    assert refused.value.param == "tools[0].function.strict"


def _annotations() -> list[deferred._Deferred]:
    return [found for found in gc.get_objects() if isinstance(found, deferred._Deferred)]
