"""The Bedrock adapter against a server on loopback that speaks the event stream."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.providers.base import (
    Call,
    Event,
    Finish,
    ProviderBroken,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Reasoning,
    Rejection,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chat.providers.bedrock import BedrockProvider
from chatapi.aws import AwsClient, Credentials
from tests.support.campaign import examples
from tests.unit.aws.stub import Chunks, Drop, Reply, Silence, Stub, closed_port
from tests.unit.providers.frames import START, cut, encode, event, exception, metadata, stop, text

MODEL = "anthropic.claude-3-5-sonnet-20241022-v2:0"
CALL = Call(MODEL, ({"role": "user", "content": "canary-prompt"},), 50, user="canary-pseudonym")


def provider(endpoint: str) -> BedrockProvider:
    client = AwsClient(
        "bedrock-runtime",
        region="eu-central-1",
        endpoint=endpoint,
        credentials=lambda: Credentials("a", "b"),
        timeout=10,
        sleep=lambda seconds: None,
    )
    return BedrockProvider(client)


def events_of(stub: Stub, *frames: bytes, cut: bool = False) -> list[Event]:
    stub.reply(Chunks(frames, cut=cut))
    return list(provider(stub.url).open(CALL, timeout=10))


def test_an_answer_streams_through(stub: Stub) -> None:
    events = events_of(
        stub,
        START,
        text("Hel"),
        text("lo"),
        event("contentBlockStop", contentBlockIndex=0),
        stop(),
        metadata(5, 2, cacheReadInputTokens=3, cacheWriteInputTokens=1),
    )
    assert events == [Text("Hel"), Text("lo"), Finish("stop"), Usage(9, 2, 3, cache_written_tokens=1)]

    (request,) = stub.requests
    assert request.path == "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse-stream"
    assert request.json == {
        "messages": [{"role": "user", "content": [{"text": "canary-prompt"}]}],
        "inferenceConfig": {"maxTokens": 50},
    }


def test_tools_are_numbered_from_zero_whatever_their_blocks_are(stub: Stub) -> None:
    def arguments(fragment: str, block: int) -> bytes:
        return event("contentBlockDelta", delta={"toolUse": {"input": fragment}}, contentBlockIndex=block)

    def start(name: str, block: int) -> bytes:
        tool = {"toolUseId": f"id-{name}", "name": name}
        return event("contentBlockStart", start={"toolUse": tool}, contentBlockIndex=block)

    events = events_of(
        stub,
        START,
        event("contentBlockDelta", delta={"reasoningContent": {"text": "hidden"}}, contentBlockIndex=0),
        text("Let me look.", 1),
        start("f", 2),
        arguments("", 2),
        arguments('{"x"', 2),
        arguments(":1}", 2),
        start("g", 4),
        arguments("{}", 4),
        stop("tool_use"),
        metadata(1, 1),
    )
    assert events == [
        Reasoning("hidden"),
        Text("Let me look."),
        ToolStart(0, "id-f", "f"),
        ToolArguments(0, '{"x"'),
        ToolArguments(0, ":1}"),
        ToolStart(1, "id-g", "g"),
        ToolArguments(1, "{}"),
        Finish("tool_calls"),
        Usage(1, 1),
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_reasons_to_finish(stub: Stub, theirs: str, ours: str) -> None:
    assert events_of(stub, START, stop(theirs))[0] == Finish(ours)  # type: ignore[arg-type]


def test_usage_is_estimated_when_it_is_missing(stub: Stub) -> None:
    assert events_of(stub, START, text("a"), text("b"), stop())[-1] == Usage(3, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.lists(st.integers(0), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_events(stub: Stub, pieces: list[str], places: list[int]) -> None:
    data = START + b"".join(map(text, pieces)) + stop() + metadata(1, 2)
    frames = [part for part in cut(data, places) if part]
    assert events_of(stub, *frames) == [*map(Text, pieces), Finish("stop"), Usage(1, 2)]


OPERATORS = (
    "Invocation of model ID m with on-demand throughput isn't supported.",
    "The provided model identifier is invalid.",
    "The guardrail identifier or version provided in the request does not exist.",
)


def refusal(status: int, kind: str, message: str = "canary-message") -> Reply:
    return Reply(status, b'{"message": "%b"}' % message.encode(), {"x-amzn-errortype": f"{kind}:http://x/"})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refusal(400, "ValidationException"), Rejection.BAD_REQUEST),
        (refusal(400, "ValidationException", "Input is too long for requested model."), Rejection.CONTEXT_LENGTH),
        (Chunks((exception("validationException"),)), Rejection.BAD_REQUEST),
        (Chunks((exception("validationException", "The input is too long"),)), Rejection.CONTEXT_LENGTH),
    ],
)
def test_a_rejected_request_says_why_by_name_only(stub: Stub, reply: Reply | Chunks, reason: Rejection) -> None:
    stub.reply(reply)
    with pytest.raises(ProviderRejected) as caught:
        provider(stub.url).open(CALL, timeout=10)
    assert caught.value.reason is reason
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize(
    ("reply", "passing"),
    [
        (refusal(403, "AccessDeniedException"), False),
        (refusal(404, "ResourceNotFoundException"), False),
        *[(refusal(400, "ValidationException", text), False) for text in OPERATORS],
        (refusal(400, "ServiceQuotaExceededException"), True),
        (refusal(424, "ModelErrorException"), True),
        (Chunks((exception("throttlingException"),)), True),
        (Chunks((exception("internalServerException"),)), True),
        (Chunks(()), True),
        (Chunks((START[:9],)), True),
        (Chunks((b"garbage" * 9,)), True),
    ],
)
def test_no_acceptance_is_unavailable(stub: Stub, reply: Reply | Chunks, passing: bool) -> None:
    stub.reply(reply)
    with pytest.raises(ProviderUnavailable) as caught:
        provider(stub.url).open(CALL, timeout=10)
    assert isinstance(caught.value, ProviderMisconfigured) != passing
    assert caught.value.__context__ is None


def test_throttling_and_server_errors_are_tried_again_and_then_unavailable(stub: Stub) -> None:
    throttled = refusal(429, "ThrottlingException")
    stub.reply(throttled, Chunks((START, text("a"), stop())), throttled, Reply(503))
    bedrock = provider(stub.url)
    assert next(iter(bedrock.open(CALL, timeout=10))) == Text("a")
    with pytest.raises(ProviderUnavailable):
        bedrock.open(CALL, timeout=10)
    assert len(stub.requests) == 4


def test_nobody_listening_a_hangup_and_silence_are_unavailable(stub: Stub) -> None:
    with pytest.raises(ProviderUnavailable):
        provider(f"http://127.0.0.1:{closed_port()}").open(CALL, timeout=10)
    stub.reply(Drop(), Silence())
    for timeout in (10, 0.05):
        with pytest.raises(ProviderUnavailable):
            provider(stub.url).open(CALL, timeout=timeout)
    assert len(stub.requests) == 2


@pytest.mark.parametrize(
    "frame",
    [
        exception("throttlingException"),
        exception("modelStreamErrorException"),
        encode({":message-type": "error", ":error-code": "x", ":error-message": "canary-message"}, b""),
        encode({":message-type": "event", ":event-type": "contentBlockDelta"}, b"{canary-"),
        event("contentBlockDelta", delta={"toolUse": {"input": "{"}}, contentBlockIndex=7),
        text("a")[:-1] + b"\0",
        text("a")[:20],
    ],
)
def test_a_failure_after_acceptance_breaks_the_stream_after_what_came(stub: Stub, frame: bytes) -> None:
    stub.reply(Chunks((START, text("one"), frame)))
    events = iter(provider(stub.url).open(CALL, timeout=10))
    assert next(events) == Text("one")
    with pytest.raises(ProviderBroken) as caught:
        next(events)
    assert caught.value.__context__ is None
    assert "canary" not in f"{caught.value} {caught.value!r}"


def test_an_end_without_finish_is_broken_and_a_cut_after_it_is_none(stub: Stub) -> None:
    with pytest.raises(ProviderBroken):
        events_of(stub, START, text("a"))
    assert events_of(stub, START, text("a"), stop(), cut=True)[1:] == [Finish("stop"), Usage(3, 1)]


def test_silence_in_mid_stream_ends_at_the_deadline(stub: Stub) -> None:
    stub.reply(Chunks((START, text("a")), hold=True))
    stream = provider(stub.url).open(CALL, timeout=0.3)
    with pytest.raises(ProviderBroken):
        list(stream)
    assert stub.hung_up.wait(10)


def test_closing_stops_the_upstream(stub: Stub) -> None:
    stub.reply(Chunks((START, text("a")), hold=True))
    stream = provider(stub.url).open(CALL, timeout=10)
    assert next(iter(stream)) == Text("a")
    stream.close()
    assert stub.hung_up.wait(10)
