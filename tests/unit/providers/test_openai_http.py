"""The OpenAI-compatible adapter against servers on loopback: what it asks, what it makes of answers and of failures."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.providers.base import (
    Call,
    Event,
    Finish,
    ProviderBroken,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Text,
    ToolArguments,
    Usage,
)
from tests.support.campaign import examples
from tests.support.openai_server import at, fixed
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream
from tests.unit.aws.stub import Chunks, Drop, Reply, Silence, Stub
from tests.unit.providers.test_sse import cut

CALL = Call("m", ({"role": "user", "content": "canary-prompt"},), 50)
SSE = {"content-type": "text/event-stream"}


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return b"data: " + json.dumps({"id": "c", "choices": choices, **more}).encode() + b"\n\n"


def events_of(stub: Stub, *frames: bytes, **options: Any) -> list[Event]:
    stub.reply(Chunks(frames, headers=SSE, **options))
    return list(at(stub.url).open(CALL, timeout=10))


def test_a_call_asks_for_a_stream_with_usage_and_for_nothing_to_be_stored(upstream: ScriptedUpstream) -> None:
    provider = at(upstream.base_url, key=fixed("k1"))
    tool = {"type": "function", "function": {"name": "f"}}
    call = Call(
        "model-1",
        ({"role": "user", "content": "hi"},),
        max_tokens=7,
        temperature=0.0,
        stop=("END",),
        tools=(tool,),
        tool_choice="auto",
        seed=1,
        extra={"presence_penalty": 0.5, "store": True, "stream": False, "cache_prompt": False},
        user="pseudonym",
    )
    list(provider.open(call, timeout=10))

    (request,) = upstream.requests
    assert request.body == {
        "model": "model-1",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "temperature": 0.0,
        "stop": ["END"],
        "tools": [tool],
        "tool_choice": "auto",
        "seed": 1,
        "presence_penalty": 0.5,
        "cache_prompt": False,
        "user": "pseudonym",
        "stream": True,
        "stream_options": {"include_usage": True},
        "store": False,
    }
    assert request.headers["authorization"] == "Bearer k1"


def test_without_a_key_none_is_sent(upstream: ScriptedUpstream) -> None:
    list(at(upstream.base_url).open(CALL, timeout=10))
    assert {"authorization", "api-key"}.isdisjoint(upstream.requests[0].headers)


def test_each_piece_is_delivered_before_the_next_one_exists(upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("one", "two"), gated=True))
    events = iter(at(upstream.base_url).open(CALL, timeout=10))
    for piece in ("one", "two"):
        upstream.release()
        assert next(events) == Text(piece)
    assert list(events) == [Finish("stop"), Usage(3, 2)]


def test_one_connection_serves_several_answers(stub: Stub) -> None:
    frames = (chunk({"content": "a"}), chunk({}, "stop"), b"data: [DONE]\n\n")
    stub.reply(*[Chunks(frames, headers=SSE)] * 3)
    provider = at(stub.url)
    for _ in range(3):
        assert [*provider.open(CALL, timeout=10)][:2] == [Text("a"), Finish("stop")]
    assert len({request.port for request in stub.requests}) == 1


def test_tool_calls_without_index_are_told_apart_by_their_ids(stub: Stub) -> None:
    frames = [
        chunk(
            {
                "tool_calls": [
                    {"id": each, "function": {"name": each, "arguments": "{"}},
                    {"function": {"arguments": "}"}},
                ]
            }
        )
        for each in ("a", "b")
    ]
    events = events_of(stub, *frames, chunk({}, "tool_calls"))
    assert [event.index for event in events if isinstance(event, ToolArguments)] == [0, 0, 1, 1]


def test_usage_is_estimated_when_the_upstream_leaves_it_out(upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("a", "b", "c"), usage=False))
    assert list(at(upstream.base_url).open(CALL, timeout=10))[-1] == Usage(3, 3)


@pytest.mark.parametrize(
    ("upstreams", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("eos", "stop"),
    ],
)
def test_reasons_to_finish(stub: Stub, upstreams: str, ours: str) -> None:
    assert events_of(stub, chunk({}, upstreams))[0] == Finish(ours)  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.lists(st.integers(0), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_events(stub: Stub, pieces: list[str], places: list[int]) -> None:
    data = b": hello\r\n\r\n" + b"".join(chunk({"content": piece}) for piece in pieces)
    data += chunk({}, "stop") + chunk(None, usage={"prompt_tokens": 1, "completion_tokens": 2}) + b"data: [DONE]\n\n"
    frames = [part for part in cut(data, places) if part]
    assert events_of(stub, *frames) == [*map(Text, pieces), Finish("stop"), Usage(1, 2)]


def test_a_character_whose_halves_come_apart_arrives(stub: Stub) -> None:
    halves = [chunk({"content": half}) for half in ("\ud83d", "\ude00")]
    assert events_of(stub, *halves, chunk({}, "stop"))[:2] == [Text("\ud83d"), Text("\ude00")]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 408])
def test_trouble_before_acceptance_is_worth_a_retry(upstream: ScriptedUpstream, status: int) -> None:
    upstream.script(Script(status=status))
    with pytest.raises(ProviderUnavailable) as caught:
        at(upstream.base_url).open(CALL, timeout=10)
    assert not isinstance(caught.value, ProviderMisconfigured)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({}, Rejection.BAD_REQUEST),
        ({"code": "context_length_exceeded"}, Rejection.CONTEXT_LENGTH),
        ({"code": 400, "type": "exceed_context_size_error"}, Rejection.CONTEXT_LENGTH),
        ({"code": "content_filter", "message": "canary-prompt"}, Rejection.CONTENT_FILTER),
        ({"message": "This model's maximum context length is 4096 tokens: canary-prompt"}, Rejection.CONTEXT_LENGTH),
    ],
)
def test_a_rejected_request_says_why_by_name_only(
    upstream: ScriptedUpstream, error: dict[str, Any], reason: Rejection
) -> None:
    upstream.script(Script(status=400, error=error))
    with pytest.raises(ProviderRejected) as caught:
        at(upstream.base_url).open(CALL, timeout=10)
    assert caught.value.reason is reason
    assert "canary" not in f"{caught.value} {caught.value!r}"


def test_nobody_listening_a_reset_and_silence_are_unavailable(upstream: ScriptedUpstream, stub: Stub) -> None:
    with upstream.refusing(), pytest.raises(ProviderUnavailable):
        at(upstream.base_url).open(CALL, timeout=10)
    upstream.script(Script(reset=True))
    with pytest.raises(ProviderUnavailable):
        at(upstream.base_url).open(CALL, timeout=10)
    stub.reply(Drop(), Silence())
    for timeout in (10, 0.05):
        with pytest.raises(ProviderUnavailable):
            at(stub.url).open(CALL, timeout=timeout)


def test_a_200_that_is_no_stream_is_no_acceptance(stub: Stub) -> None:
    stub.reply(Reply(200, b'{"error": {}}', {"content-type": "application/json"}))
    with pytest.raises(ProviderUnavailable):
        at(stub.url).open(CALL, timeout=10)


@pytest.mark.parametrize(
    "script", [Script(pieces=("a", "b", "c"), cut_after=2), Script(pieces=("a", "b"), error_after=2)]
)
def test_a_stream_that_breaks_off_delivers_what_came_and_then_raises(
    upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.script(script)
    events = iter(at(upstream.base_url).open(CALL, timeout=10))
    assert [next(events), next(events)] == [Text("a"), Text("b")]
    with pytest.raises(ProviderBroken) as caught:
        next(events)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "frame",
    [
        b"data: {canary-\n\n",
        b"data: []\n\n",
        b'data: {"choices": [7]}\n\n',
        b'data: {"error": {"message": "canary-"}}\n\n',
    ],
)
def test_nonsense_breaks_the_stream_and_is_not_quoted(stub: Stub, frame: bytes) -> None:
    with pytest.raises(ProviderBroken) as caught:
        events_of(stub, chunk({"content": "a"}), frame)
    assert caught.value.__context__ is None
    assert "canary-" not in "".join(traceback.format_exception_only(caught.value))


def test_an_end_without_finish_is_broken_and_a_break_after_it_is_none(stub: Stub) -> None:
    with pytest.raises(ProviderBroken):
        events_of(stub, chunk({"content": "a"}))
    assert events_of(stub, chunk({"content": "a"}), chunk({}, "stop"), cut=True)[1:] == [
        Finish("stop"),
        Usage(3, 1),
    ]


def test_silence_in_mid_stream_ends_at_the_deadline(stub: Stub) -> None:
    stub.reply(Chunks((chunk({"content": "a"}),), headers=SSE, hold=True))
    events = iter(at(stub.url).open(CALL, timeout=0.2))
    with pytest.raises(ProviderBroken):
        list(events)
    assert stub.hung_up.wait(10)


def test_a_stream_past_its_deadline_is_not_read_on(upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("a", "b"), gated=True))
    with pytest.raises(ProviderBroken):
        list(at(upstream.base_url, read_timeout=0.05).open(CALL, timeout=10))
    upstream.wait_for("abandoned")


def test_closing_stops_the_upstream(upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("a", "b", "c"), gated=True))
    stream = at(upstream.base_url).open(CALL, timeout=10)
    upstream.release()
    assert next(iter(stream)) == Text("a")

    stream.close()
    stream.close()

    assert upstream.wait_for("abandoned").sent == 1


def test_clear_text_never_leaves_this_machine() -> None:
    with pytest.raises(ValueError, match="https"):
        at("http://models.example/v1")


def test_errors_have_fixed_texts(upstream: ScriptedUpstream) -> None:
    upstream.script(
        Script(status=500, error={"message": "canary-prompt"}), Script(status=400, error={"message": "canary-prompt"})
    )
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            at(upstream.base_url).open(CALL, timeout=10)
        assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"
