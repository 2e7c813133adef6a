"""OpenAI's requests in Converse's words: what is carried over, merged, left out and refused."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.base import Call, ProviderRejected, Rejection
from chat.providers.converse import to_converse
from chat.providers.guardrail import Guardrail

SHAPE = (
    boto3.session.Session(region_name="eu-central-1")
    .client("bedrock-runtime", aws_access_key_id="a", aws_secret_access_key="b")
    .meta.service_model.operation_model("ConverseStream")
    .input_shape
)
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
TOOL_TURN: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "What is it?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
    {"role": "tool", "tool_call_id": "c2", "content": ""},
    {"role": "user", "content": "Go on."},
)


def convert(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    body = to_converse(Call("m", messages, options.pop("max_tokens", 10), **options))
    problems = ParamValidator().validate({"modelId": "m", **body}, SHAPE)
    assert not problems.has_errors(), problems.generate_report()
    json.dumps(body)
    return body


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_instructions_go_apart_and_limits_are_renamed() -> None:
    body = convert(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user("Hi"),
        temperature=0.0,
        top_p=0.5,
        stop=("END",),
        seed=4,
        user="pseudonym",
        extra={"reasoning_effort": "low"},
    )
    assert body == {
        "system": [{"text": "Be brief."}, {"text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 10, "temperature": 0.0, "topP": 0.5, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"reasoning_effort": "low"},
    }


def test_tool_calls_and_results_become_blocks() -> None:
    body = convert(*TOOL_TURN, tools=(TOOL,))
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "What is it?"}]},
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"x": 1}}},
                {"toolUse": {"toolUseId": "c2", "name": "f", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": "c2", "content": [{"text": "(empty)"}]}},
                {"text": "Go on."},
            ],
        },
    ]
    specification = {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": specification}]}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", None),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_tool_choice(choice: Any, expected: dict[str, Any] | None) -> None:
    assert convert(user("Hi"), tools=(TOOL,), tool_choice=choice)["toolConfig"].get("toolChoice") == expected


def test_none_means_that_no_tool_can_be_called() -> None:
    body = convert(*TOOL_TURN, tools=(TOOL,), tool_choice="none")
    assert "toolConfig" not in body
    assert "toolUse" not in json.dumps(body)
    assert body["messages"][1]["content"] == [{"text": 'f({"x": 1})'}, {"text": "f()"}]


@pytest.mark.parametrize(("kind", "format"), [("png", "png"), ("jpg", "jpeg"), ("jpeg", "jpeg"), ("webp", "webp")])
def test_an_image_in_the_request_is_passed_on(kind: str, format: str) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,AAAA"}}
    (message,) = convert(user([{"type": "text", "text": "See"}, image]))["messages"]
    assert message["content"] == [{"text": "See"}, {"image": {"format": format, "source": {"bytes": "AAAA"}}}]


def file(kind: str, **more: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": f"data:{kind};base64,AAAA", **more}}


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        ("application/pdf", "pdf"),
        ("text/plain;charset=utf-8", "txt"),
        ("TEXT/CSV", "csv"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ],
)
def test_a_file_becomes_a_document(kind: str, format: str) -> None:
    (message,) = convert(user([{"type": "text", "text": "Read"}, file(kind)]))["messages"]
    assert message["content"][1] == {"document": {"format": format, "name": "document-1", "source": {"bytes": "AAAA"}}}


def test_documents_have_names_of_our_own_that_differ() -> None:
    texts = {"type": "text", "text": "Read"}
    first, second = file("application/pdf", filename="canary.pdf"), file("text/csv", filename="canary.pdf")
    body = convert(user([texts, first]), {"role": "assistant", "content": "Yes."}, user([second, texts]))
    assert [b["document"]["name"] for m in body["messages"] for b in m["content"] if "document" in b] == [
        "document-1",
        "document-2",
    ]
    assert "canary" not in json.dumps(body)


def test_a_schema_for_the_answer() -> None:
    given = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    body = convert(user("Hi"), response_format=given)
    assert body["outputConfig"]["textFormat"] == {
        "type": "json_schema",
        "structure": {"jsonSchema": {"schema": '{"type": "object"}', "name": "n"}},
    }
    assert "outputConfig" not in convert(user("Hi"), response_format={"type": "text"})


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (user([{"type": "image_url", "image_url": {"url": "https://canary.example/x.png"}}]), {}),
        (user([{"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}}]), {}),
        (user([{"type": "input_audio", "input_audio": {}}]), {}),
        (user([{"type": "text", "text": "Run"}, file("application/x-canary")]), {}),
        (user([{"type": "text", "text": "Run"}, {"type": "file", "file": {"file_data": "canary"}}]), {}),
        (user([file("application/pdf")]), {}),  # Converse wants a text beside it
        ({"role": "system", "content": [file("application/pdf")]}, {}),
        (user("Hi"), {"response_format": {"type": "json_object"}}),
        (user("Hi"), {"tools": ({"type": "custom", "custom": {"name": "canary"}},)}),
    ],
)
def test_what_cannot_be_carried_over_is_refused_without_being_quoted(
    message: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(ProviderRejected) as caught:
        convert(message, **options)
    assert caught.value.reason is Rejection.BAD_REQUEST
    assert caught.value.__context__ is None


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(min_size=1)), max_size=8))
def test_roles_alternate_and_no_text_is_lost(turns: list[tuple[str, str]]) -> None:
    body = convert(*[{"role": role, "content": text} for role, text in turns])
    roles = [message["role"] for message in body["messages"]]
    assert all(first != second for first, second in pairwise(roles))
    kept = [(message["role"], block["text"]) for message in body["messages"] for block in message["content"]]
    assert kept == [turn for turn in turns if turn[0] != "system"]
    assert [block["text"] for block in body.get("system", [])] == [text for role, text in turns if role == "system"]


def test_a_guardrail_is_applied_and_no_trace_of_what_it_filters_is_asked_for() -> None:
    call = Call("m", ({"role": "user", "content": "a"},), 5, guardrail=Guardrail("abc", "3", "async"))
    assert to_converse(call)["guardrailConfig"] == {
        "guardrailIdentifier": "abc",
        "guardrailVersion": "3",
        "streamProcessingMode": "async",
        "trace": "disabled",
    }
    assert "guardrailConfig" not in to_converse(Call("m", call.messages, 5))
