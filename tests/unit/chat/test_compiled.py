"""The compiled models are the models: the file is current, and takes, refuses and says what they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ValidationError, create_model

from chat import requests, wire
from chat.requests import parse
from chatapi.compiled import Compiled, schemas
from local import compiled

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CUSTOM = {"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}}
NAMED = {"type": "function", "function": {"name": "f"}}
# For each field values that its model takes, and the same with something wrong inside.
ODD = (None, True, -1, 0, 1, 2.5, 9, "", "auto", "text", [], ["a"], ["a"] * 5, {}, {"a": "b"}, {"a": 1}, {"x": 101.0})
VALUES: dict[str, tuple[Any, ...]] = {
    "messages": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text"}]}],
        [{"role": "assistant", "tool_calls": [CALL]}],
        [{"role": "assistant", "tool_calls": [CALL, {**CALL, "type": "custom"}]}],
        [{"role": "nobody", "content": "a"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}]}],
    ),
    "tools": ([FUNCTION, CUSTOM], [FUNCTION] * 129, [{"type": "function", "function": {"name": "no spaces"}}]),
    "tool_choice": (
        NAMED,
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        {"type": "custom", "custom": {"name": 1}},
    ),
    "response_format": (
        {"type": "json_object"},
        {"type": "xml"},
        {"type": "json_schema", "json_schema": {"name": "s", "schema": {"a": 1.5}, "strict": "true"}},
    ),
    "stream_options": ({"include_usage": True}, {"include_usage": 1}, {"unknown": 1}),
    "data_handling": ({"retention": "none", "redact": ["email"]}, {"redact": ["names"]}, {"unknown": 1}),
    "logit_bias": ({str(token): 0 for token in range(1025)},),
    "metadata": ({str(key): "a" for key in range(17)}, {"a" * 65: "a"}),
}
FIELDS = sorted(wire.ChatRequest.model_fields)


def bodies() -> st.SearchStrategy[dict[str, Any]]:
    values = {name: st.sampled_from((*VALUES.get(name, ()), *ODD)) for name in FIELDS}
    return st.dictionaries(st.sampled_from(FIELDS), st.none(), max_size=6).flatmap(
        lambda names: st.fixed_dictionaries({name: values[name] for name in names})
    )


def said(model: type[BaseModel], body: bytes) -> Any:
    """What a model makes of a body, or why it does not."""
    try:
        return plain(model.model_validate_json(body))
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel | Compiled):
        return {name: plain(inner) for name, inner in value.__dict__.items()}
    return value


def test_the_file_is_current() -> None:
    assert compiled.written(compiled.compiled()) == compiled.COMPILED.read_text(encoding="utf-8"), (
        "python -m local.compiled"
    )


@given(bodies())
def test_what_is_compiled_says_what_its_model_says(change: dict[str, Any]) -> None:
    # given a request that is good, and some fields of it anything
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **change}).encode()

    # then both take it alike, field by field, or refuse it with the same errors in the same places
    assert said(requests.ChatRequest, body) == said(wire.ChatRequest, body)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"metadata": null}', b'{"metadata": {"a": 1}}', b"{}"])
def test_an_update_too(body: bytes) -> None:
    assert said(requests.CompletionUpdate, body) == said(wire.CompletionUpdate, body)


def test_a_copy_has_what_changed_and_leaves_the_first_as_it_was() -> None:
    first = parse(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 2}')
    copy = first.model_copy(update={"n": 3})
    assert (copy.n, copy.model, first.n) == (3, "m", 2)
    assert isinstance(copy, requests.ChatRequest)


def test_a_request_shows_nothing_of_itself() -> None:
    assert "canary" not in repr(parse(b'{"model": "m", "messages": [{"role": "user", "content": "canary"}]}'))


def test_a_check_that_the_function_does_not_know_is_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(value: Any) -> Any:
        return value

    body = create_model("ChatRequest", a=(Annotated[str, AfterValidator(unknown)], ...))
    monkeypatch.setattr(compiled, "_BODIES", (body,))
    with pytest.raises(TypeError, match="unknown"):
        compiled.compiled()
    (tmp_path / "one.json").write_text('{"a": {"function": {"$": "unknown"}}}')
    with pytest.raises(KeyError):
        schemas(tmp_path / "one.json", {})
