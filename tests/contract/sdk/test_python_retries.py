"""openai-python tries again where that helps, after the time it is told, and not where it is told not to; and who waits
no longer still pays for what was made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import openai
import pytest
from openai import OpenAI

from tests.contract.sdk.asking import HELLO, chat, shape
from tests.support.live_stack import AMPLE, MODEL, Caller, Live, until
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream

LONG = Script(pieces=("word ",) * 100, gated=True)

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

    def wait() -> None:
        answer = chat(client.with_options(max_retries=0, timeout=0.5), stream=stream, max_tokens=10)
        list(answer)

    with pytest.raises(openai.APITimeoutError):
        wait()

    # The function is not told: it goes on to its bound, and that is settled.
    upstream.release(10)
    upstream.wait_for("done")
    assert upstream.requests[0].sent == 10
    assert live.settled(caller.project) == 1 + 10  # the scripted model counts one token of prompt
