"""Each refusal reaches openai-python as the exception that its users catch, with code, param and type; and the client
tries again where that helps, after the time it is told, and not where it is told not to."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from chatapi.verdict import MAX_BODY_BYTES
from tests.support.live_stack import AMPLE, MODEL, Caller, Live, until
from tests.support.scripted_upstream import Script, ScriptedUpstream

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
LONG = Script(pieces=("word ",) * 100, gated=True)


def chat(client: OpenAI, **changes: Any) -> ChatCompletion:
    completion: ChatCompletion = client.chat.completions.create(**({"model": MODEL, "messages": HELLO} | changes))
    return completion


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
    (lambda c: chat(c, n=2), "invalid_value", "n"),
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
    before = live.settled(caller.project)
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
    assert live.settled(caller.project) > before


# What is waited for is recorded instead of waited for; `then` runs in its place.


@dataclasses.dataclass
class Pauses:
    seconds: list[float]
    then: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.then()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    recorded = Pauses([])
    monkeypatch.setattr("openai._base_client.time", SimpleNamespace(sleep=recorded.sleep, time=time.time))
    return recorded


@pytest.fixture
def limited(live: Live, request: pytest.FixtureRequest, upstream: ScriptedUpstream) -> Iterator[tuple[OpenAI, Caller]]:
    caller = live.project(dataclasses.replace(AMPLE, **request.param))
    with OpenAI(base_url=live.base_url, api_key=caller.api_key) as client:
        yield client, caller


@pytest.mark.parametrize("limited", [{"conc": 1}], indirect=True)
def test_a_429_is_tried_again_after_the_time_it_names(
    limited: tuple[OpenAI, Caller], live: Live, upstream: ScriptedUpstream, pauses: Pauses
) -> None:
    # Given the only slot is taken, until the client pauses
    client, caller = limited
    upstream.script(Script(pieces=("slow",), gated=True))

    def free_the_slot() -> None:
        upstream.release()
        live.settled(caller.project)

    pauses.then = free_the_slot
    before = len(live.arrived())
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(chat, client)
        until(lambda: len(upstream.requests), bool)

        # When
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)

        # Then
        assert slow.result().choices[0].message.content == "slow"
    assert raw.retries_taken == 1
    assert pauses.seconds == [1.0]
    assert [line["status"] for line in live.arrived()[before:]] == [429, 200, 200]


@pytest.mark.parametrize("limited", [{"conc": 1}], indirect=True)
def test_what_a_429_says(limited: tuple[OpenAI, Caller], upstream: ScriptedUpstream) -> None:
    client, _ = limited
    upstream.script(Script(pieces=("slow",), gated=True))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(chat, client)
        until(lambda: len(upstream.requests), bool)
        with pytest.raises(openai.RateLimitError) as refusal:
            chat(client.with_options(max_retries=0))
        upstream.release()
        slow.result()

    headers = refusal.value.response.headers
    assert shape(refusal.value) == (429, "rate_limit_error", "rate_limit_exceeded", None)
    assert (headers["retry-after-ms"], headers["retry-after"], headers["x-should-retry"]) == ("1000", "1", "true")
    assert headers["x-ratelimit-limit-requests"] == str(AMPLE.rpm)
    assert refusal.value.request_id


FINAL = [
    ({"rpd": 1}, "insufficient_quota"),
    ({"tpm": 100}, "rate_limit_exceeded"),  # the request alone is above the limit: it can never pass
]


@pytest.mark.parametrize(("limited", "code"), FINAL, indirect=["limited"])
def test_a_final_429_is_not_tried_again(
    limited: tuple[OpenAI, Caller], code: str, live: Live, pauses: Pauses, upstream: ScriptedUpstream
) -> None:
    client, _ = limited
    client.models.list()
    before = len(live.arrived())

    with pytest.raises(openai.RateLimitError) as refusal:
        chat(client)

    assert shape(refusal.value) == (429, "rate_limit_error", code, None)
    assert refusal.value.response.headers["x-should-retry"] == "false"
    assert [line["status"] for line in live.arrived()[before:]] == [429]
    assert pauses.seconds == []
    assert upstream.requests == []


@pytest.mark.parametrize("limited", [{"rpm": 2}], indirect=True)
def test_requests_above_the_minute_name_a_time_that_clients_accept(limited: tuple[OpenAI, Caller]) -> None:
    client, _ = limited
    client = client.with_options(max_retries=0)

    def spend() -> None:
        for _ in range(5):  # two windows, half a minute apart: at most one of them begins anew meanwhile
            client.models.list()

    with pytest.raises(openai.RateLimitError) as refusal:
        spend()

    assert shape(refusal.value) == (429, "rate_limit_error", "rate_limit_exceeded", None)
    assert 0 < float(refusal.value.response.headers["retry-after-ms"]) <= 60_000
    assert 1 <= int(refusal.value.response.headers["retry-after"]) <= 60


@pytest.mark.parametrize("limited", [{"tpm": 2000}], indirect=True)
def test_max_tokens_above_what_is_left(limited: tuple[OpenAI, Caller], upstream: ScriptedUpstream) -> None:
    client, _ = limited

    with pytest.raises(openai.RateLimitError) as refusal:
        chat(client.with_options(max_retries=0), max_tokens=4000)

    assert shape(refusal.value) == (429, "rate_limit_error", "rate_limit_exceeded", None)
    assert upstream.requests == []


def test_a_fault_of_the_model_is_tried_again(client: OpenAI, upstream: ScriptedUpstream, pauses: Pauses) -> None:
    upstream.script(Script(status=500))

    assert chat(client).choices[0].message.content

    assert len(upstream.requests) == 2
    assert pauses.seconds == [2.0]


def test_a_bad_request_is_not_tried_again(client: OpenAI, live: Live, pauses: Pauses) -> None:
    before = len(live.arrived())

    with pytest.raises(openai.BadRequestError):
        chat(client, messages=[])

    assert [line["status"] for line in live.arrived()[before:]] == [400]
    assert pauses.seconds == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_waits_no_longer(
    client: OpenAI, upstream: ScriptedUpstream, live: Live, caller: Caller, stream: bool
) -> None:
    upstream.script(LONG)
    before = live.settled(caller.project)

    def wait() -> None:
        answer = chat(client.with_options(max_retries=0, timeout=0.5), stream=stream, max_tokens=10)
        list(answer)

    with pytest.raises(openai.APITimeoutError):
        wait()

    # The function is not told: it goes on to its bound, and that is settled.
    upstream.release(10)
    upstream.wait_for("done")
    assert upstream.requests[0].sent == 10
    assert live.settled(caller.project) == before + 1 + 10  # the scripted model counts one token of prompt


def shape(error: openai.APIStatusError) -> tuple[int, str | None, str | None, str | None]:
    body = error.body
    assert isinstance(body, dict)
    assert body.keys() == {"message", "type", "param", "code"}
    assert error.response.headers["x-request-id"] == error.request_id
    return error.status_code, error.type, error.code, error.param
