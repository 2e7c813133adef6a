"""Bad input: a stable code, the field's path, never an echo."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.wire import parse
from chatapi.errors import BadRequest

GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CANARY = "canary-7f3a"


def refused(body: Any) -> BadRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(BadRequest) as caught:
        parse(raw)
    return caught.value


@pytest.mark.parametrize("raw", [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'{"user": "\\ud800"}'])
def test_what_is_no_json_is_invalid_json(raw: bytes) -> None:
    assert refused(raw).code == "invalid_json"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": "x"}, "invalid_type", "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": CANARY, "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "missing_required_parameter", "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": CANARY}]}]},
            "invalid_value",
            "messages[0].content[0].type",
        ),
        ({"model": 5}, "invalid_type", "model"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"n": 2}, "invalid_value", "n"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"metadata": {CANARY: 5}}, "invalid_type", "metadata"),
        ({"tools": [{"type": "custom"}]}, "invalid_value", "tools[0].type"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(change: dict[str, Any], code: str, param: str) -> None:
    error = refused({**GOOD, **change})
    assert (error.code, error.param) == (code, param)
    assert CANARY not in repr(error.payload()) + repr(error.__cause__) + repr(error.__context__)


def test_a_missing_field_is_named() -> None:
    assert refused({"model": "m"}).param == "messages"
    assert refused([]).code == "invalid_type"


def test_unknown_fields_are_ignored_and_every_role_passes() -> None:
    roles = [
        {"role": "developer", "content": "d"},
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "5"},
    ]
    request = parse(json.dumps({**GOOD, "messages": roles, "verbosity": "low", "prompt_cache_key": "k"}).encode())
    assert [dict(message) for message in request.messages] == roles


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=20,
    )
)
def test_any_json_is_taken_or_refused_in_the_one_shape(value: Any) -> None:
    raw = json.dumps(value if isinstance(value, dict) else {**GOOD, "messages": value}).encode()
    with suppress(BadRequest):  # anything else fails the test
        parse(raw)
