"""Shapes that are built at first use say what they would have said, and are not built before."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chat import deferred, wire
from chat.deferred import AtFirstUse
from chatapi.errors import BadRequest


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


class Body(BaseModel):
    few: AtFirstUse[Annotated[list[int], Field(max_length=2)]] | None = None


def test_a_shape_is_built_once_and_when_a_value_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model that has been built, and nobody has sent the field
    built: list[Any] = []

    def build(of: Any, config: ConfigDict) -> TypeAdapter[Any]:
        built.append(of)
        return TypeAdapter(of, config=config)

    monkeypatch.setattr(deferred, "TypeAdapter", build)
    Body.model_validate_json("{}")
    Body.model_validate_json('{"few": null}')
    assert built == []

    # when it comes, then its shape is built, and that holds for the next
    assert Body.model_validate_json('{"few": [1]}').few == [1]
    with pytest.raises(ValidationError) as refused:
        Body.model_validate_json('{"few": [1, "2"]}')
    assert len(built) == 1
    assert [(error["type"], error["loc"]) for error in refused.value.errors()] == [("int_type", ("few", 1))]


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
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": "true"}}]},
            "tools[0].function.strict",
            "invalid_type",
        ),
        ({"response_format": {"type": "xml"}}, "response_format", "invalid_value"),
    ],
)
def test_a_fault_inside_keeps_its_place(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        wire.parse(body(**fields))

    assert (refused.value.param, refused.value.code) == (param, code)
