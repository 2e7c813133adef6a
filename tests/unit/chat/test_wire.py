"""Bad input: a stable code, the field's path, never an echo."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chat.requests import ChatRequest, parse
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
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}]}
                ]
            },
            "invalid_value",
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
            "invalid_value",
            "messages[0].content[0]",
        ),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "invalid_value", "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {}}]}, "missing_required_parameter", "tools[0].function.name"),
        ({"tools": {}}, "invalid_type", "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": 1}}]}, "invalid_type", "tools[0].custom.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": "true"}}]},
            "invalid_type",
            "tools[0].function.strict",
        ),
        ({"tool_choice": {"type": "function", "function": {"name": 1}}}, "invalid_type", "tool_choice"),
        ({"response_format": {"type": "xml"}}, "invalid_value", "response_format"),
        ({"model": 5}, "invalid_type", "model"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"n": 9}, "invalid_value", "n"),
        ({"tool_choice": {"type": CANARY}}, "invalid_value", "tool_choice"),
        ({"tool_choice": CANARY}, "invalid_value", "tool_choice"),
        ({"response_format": {"type": CANARY}}, "invalid_value", "response_format"),
        ({"response_format": {"type": "json_schema"}}, "missing_required_parameter", "response_format"),
        ({"data_handling": {"ttl_seconds": 5}}, "invalid_value", "data_handling.ttl_seconds"),
        ({"data_handling": {"ttl": 60}}, "unknown_parameter", "data_handling"),
        ({"seed": 2**63}, "invalid_value", "seed"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"metadata": {CANARY: 5}}, "invalid_type", "metadata"),
        ({"tools": [{"type": "web_search"}]}, "invalid_value", "tools[0].type"),
        ({"tools": [{"type": "custom"}]}, "missing_required_parameter", "tools[0].custom"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(change: dict[str, Any], code: str, param: str) -> None:
    error = refused({**GOOD, **change})
    assert (error.code, error.param) == (code, param)
    assert CANARY not in repr(error.payload()) + repr(error.__cause__) + repr(error.__context__)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 9}, "The value must be at most 8: n."),
        ({"max_tokens": 0}, "The value must be at least 1: max_tokens."),
        ({"temperature": 2.5}, "The value must be at most 2.0: temperature."),
        ({"seed": 2**63}, "The value must be less than 9223372036854775808: seed."),
        ({"stop": ["a"] * 5}, "The value must have at most 4 items: stop."),
        (
            {"logit_bias": {str(token): 1 for token in range(1025)}},
            "The value must have at most 1024 items: logit_bias.",
        ),
        ({"verbosity": CANARY}, "The value must be 'low', 'medium' or 'high': verbosity."),
        (
            {"response_format": {"type": CANARY}},
            "The value must be of the type 'text', 'json_object', 'json_schema': response_format.",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": f"{CANARY} name"}}]},
            "The value must match ^[a-zA-Z0-9_-]{1,128}$: tools[0].function.name.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "A content part has a field of the name that its type says: a text, or an object.",
        ),
        (
            {"tools": [{"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}}]},
            "A format of type grammar has a grammar, and no other has.",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"http://{CANARY}"}}]}
                ]
            },
            "Images and files are sent as data URLs: nothing is fetched from addresses or by ids.",
        ),
    ],
)
def test_a_refusal_says_what_a_value_must_be_and_nothing_that_was_sent(change: dict[str, Any], said: str) -> None:
    body = refused({**GOOD, **change}).body().decode()
    assert json.loads(body)["error"]["message"] == said
    assert CANARY not in body


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "field",
    [
        '"temperature": %s',
        '"logit_bias": {"5": %s}',
        '"response_format": {"a": [%s]}',
        '"tool_choice": {"a": {"b": %s}}',
        '"tools": [{"type": "function", "function": {"name": "f", "parameters": {"minimum": %s}}}]',
        '"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "more": %s}]}]',
    ],
)
def test_a_number_that_json_does_not_have_goes_nowhere(field: str, number: str) -> None:
    # it would be sent on and stored as it came, and no client could read the answer
    body = json.dumps(GOOD)[:-1] + ", " + field % number + "}"
    assert refused(body.encode()).code in ("invalid_value", "invalid_type")


@pytest.mark.parametrize("field", ["content", "tool_calls"])
def test_a_flood_of_wrong_items_is_refused_at_the_first(field: str) -> None:
    # an error for each of the two million that 4 MiB hold took 2 GB, twice what the function has
    body = {**GOOD, "messages": [{"role": "user", field: [0] * 10_000}]}
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate_json(json.dumps(body))
    assert caught.value.error_count() < 5


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


def test_a_message_as_the_sdk_dumps_it_comes_back() -> None:
    # given an answer without calls, as `model_dump()` of OpenAI's SDK says it
    dumped = {"role": "assistant", "content": "a", "refusal": None, "audio": None, "function_call": None}
    dumped |= {"annotations": [], "tool_calls": None}
    # when it is sent with the next question
    taken = parse(json.dumps({"model": "m", "messages": [dumped, {"role": "user", "content": "b"}]}).encode())
    # then no null of a call goes on to a provider
    assert taken.messages[0] == {"role": "assistant", "content": "a", "refusal": None}
