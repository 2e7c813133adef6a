"""Each refusal reaches openai-python as the exception that its users catch, with code, param and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from chatapi.verdict import MAX_BODY_BYTES
from tests.contract.sdk.asking import HELLO, chat, shape
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream


def post(client: OpenAI, content: bytes) -> object:
    options: Any = {"headers": {"content-type": "application/json"}}
    return client.post("/chat/completions", cast_to=object, content=content, options=options)


Act = Callable[[OpenAI], object]
BAD_REQUESTS: list[tuple[Act, str, str | None]] = [
    (lambda c: post(c, b'{"model": '), "invalid_json", None),
    (lambda c: post(c, b""), "invalid_json", None),
    (lambda c: chat(c, messages=[{"role": "user", "content": 5}]), "invalid_type", "messages[0].content"),
    (lambda c: chat(c, messages="hi"), "invalid_type", "messages"),
    (lambda c: chat(c, max_tokens="many"), "invalid_type", "max_tokens"),
    (lambda c: chat(c, messages=[]), "empty_array", "messages"),
    (lambda c: chat(c, temperature=3), "invalid_value", "temperature"),
    (lambda c: chat(c, n=9), "invalid_value", "n"),
    (lambda c: chat(c, max_completion_tokens=10**6), "invalid_value", "max_completion_tokens"),
    (lambda c: chat(c, messages=[{"content": "hi"}]), "missing_required_parameter", "messages[0].role"),
    (lambda c: c.chat.completions.list(limit=0), "invalid_value", "limit"),
]


@pytest.mark.parametrize(
    ("act", "code", "param"), BAD_REQUESTS, ids=[f"{code} {param}" for _, code, param in BAD_REQUESTS]
)
def test_a_bad_request(client: OpenAI, act: Act, code: str, param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        act(client)

    assert shape(refusal.value) == (400, "invalid_request_error", code, param)
    assert refusal.value.request_id


def test_a_context_that_is_too_long(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(status=400, error={"code": "context_length_exceeded"}))

    with pytest.raises(openai.BadRequestError) as refusal:
        chat(client)

    assert shape(refusal.value) == (400, "invalid_request_error", "context_length_exceeded", "messages")


def test_a_model_that_does_not_exist(client: OpenAI) -> None:
    for act in (lambda: chat(client, model="gpt-99"), lambda: client.models.retrieve("gpt-99")):
        with pytest.raises(openai.NotFoundError) as refusal:
            act()
        assert shape(refusal.value) == (404, "invalid_request_error", "model_not_found", "model")


def test_a_completion_and_a_route_that_do_not_exist(client: OpenAI) -> None:
    for act in (lambda: client.chat.completions.retrieve("chatcmpl-none"), client.files.list):
        with pytest.raises(openai.NotFoundError) as refusal:
            act()
        assert shape(refusal.value) == (404, "invalid_request_error", "not_found", None)


@pytest.mark.parametrize("key", ["sk-none", "chatapi_live_" + "0" * 57])
def test_a_key_that_opens_nothing(live: Live, key: str) -> None:
    with OpenAI(base_url=live.base_url, api_key=key) as client, pytest.raises(openai.AuthenticationError) as refusal:
        client.models.list()

    assert shape(refusal.value) == (401, "invalid_request_error", "invalid_api_key", None)


def test_a_revoked_key(live: Live) -> None:
    revoked = live.project()
    with OpenAI(base_url=live.base_url, api_key=revoked.api_key) as client:
        client.models.list()
        live.projects.revoke(revoked.project, "k1")
        with pytest.raises(openai.AuthenticationError) as refusal:
            client.models.list()

    assert refusal.value.code == "invalid_api_key"


def test_a_key_without_the_scope(live: Live, upstream: ScriptedUpstream) -> None:
    with (
        OpenAI(base_url=live.base_url, api_key=live.project(scopes=["history"]).api_key) as client,
        pytest.raises(openai.PermissionDeniedError) as refusal,
    ):
        chat(client)

    assert shape(refusal.value) == (403, "permission_error", "insufficient_scope", None)
    assert upstream.requests == []


def test_a_project_that_does_not_store(live: Live, upstream: ScriptedUpstream) -> None:
    with (
        OpenAI(base_url=live.base_url, api_key=live.project(retention="none").api_key) as client,
        pytest.raises(openai.PermissionDeniedError) as refusal,
    ):
        chat(client, store=True)

    assert shape(refusal.value) == (403, "permission_error", "retention_not_permitted", "store")
    assert upstream.requests == []


def test_an_erased_subject(client: OpenAI, live: Live, caller: Caller) -> None:
    completion = chat(client, store=True, user="to be erased")
    live.erase_key(caller.project, completion.id)

    with pytest.raises(openai.APIStatusError) as refusal:
        client.chat.completions.retrieve(completion.id)

    assert shape(refusal.value) == (410, "invalid_request_error", "subject_erased", None)


def test_a_body_above_4_mib(client: OpenAI, upstream: ScriptedUpstream) -> None:
    with pytest.raises(openai.APIStatusError) as refusal:
        chat(client, messages=[{"role": "user", "content": "x" * MAX_BODY_BYTES}])

    assert shape(refusal.value) == (413, "invalid_request_error", "request_too_large", None)
    assert upstream.requests == []


@pytest.mark.parametrize("broken", [Script(status=500), Script(status=429), Script(reset=True)])
def test_a_model_that_is_not_available(client: OpenAI, upstream: ScriptedUpstream, broken: Script) -> None:
    upstream.script(broken)

    with pytest.raises(openai.InternalServerError) as refusal:
        chat(client.with_options(max_retries=0))

    assert shape(refusal.value) == (503, "server_error", "service_unavailable", None)


@pytest.mark.parametrize("broken", [{"error_after": 2}, {"cut_after": 2}])
def test_an_error_in_mid_stream_raises(
    client: OpenAI, upstream: ScriptedUpstream, live: Live, caller: Caller, broken: dict[str, int]
) -> None:
    upstream.script(Script(pieces=("one", "two", "three"), **broken))
    came = []

    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        with pytest.raises(openai.APIError) as failure:
            came += [chunk.choices[0].delta.content for chunk in stream]
        came += [None]

    assert (failure.value.type, failure.value.code, failure.value.param) == (
        "server_error",
        "service_unavailable",
        None,
    )
    assert live.settled(caller.project) > 2  # the prompt, by its size, and what came


def test_the_text_of_a_refusal_names_the_parameter(client: OpenAI) -> None:
    """The SDK prints nothing else."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[])
    assert str(caught.value).endswith("The array is empty: messages.")
    grammar: Any = {"type": "custom", "name": "s", "format": {"type": "grammar", "syntax": "lark", "definition": "s"}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="x", tools=[grammar])
    assert str(caught.value).endswith("The model does not support this parameter: tools[0].format.")
