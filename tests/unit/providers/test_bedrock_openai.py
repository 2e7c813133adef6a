"""Bedrock's OpenAI endpoint: signed, guarded, and without what the model thought in the answer."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.base import (
    Call,
    Event,
    Finish,
    Idle,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Reasoning,
    Text,
    ToolStart,
    Usage,
)
from chat.providers.bedrock_openai import BedrockServer, untagged
from chat.providers.dialects import DIALECTS
from chat.providers.guardrail import Guardrail
from chat.providers.openai_http import OpenAIProvider
from chatapi.aws import AwsClient, Credentials
from tests.unit.aws.stub import Chunks, Reply, Stub, closed_port

CALL = Call("openai.gpt-oss-20b-1:0", ({"role": "user", "content": "canary-prompt"},), 50, user="sub_pseudonym")


def provider(url: str) -> OpenAIProvider:
    client = AwsClient(
        "bedrock-runtime",
        region="eu-central-1",
        endpoint=url,
        credentials=lambda: Credentials("AKID", "secret", "token"),
        attempts=1,
    )
    return OpenAIProvider(BedrockServer(client), DIALECTS["bedrock-openai"])


def stream(*pieces: str, **last: object) -> Chunks:
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **last})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 74, "completion_tokens": 17}})
    frames = (*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n")
    return Chunks(frames, headers={"content-type": "text/event-stream"})


def test_a_call_is_signed_and_says_no_more_than_the_endpoint_needs(stub: Stub) -> None:
    stub.reply(stream("<reasoning>They want</reasoning>", "<reasoning> pong</reasoning>", "po", "ng"))
    events = list(provider(stub.url).open(CALL, timeout=10))
    assert events == [Reasoning("They want"), Reasoning(" pong"), Text("po"), Text("ng"), Finish("stop"), Usage(74, 17)]
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/openai/v1/chat/completions")
    assert "/eu-central-1/bedrock/aws4_request" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "token"
    assert set(request.json) == {"model", "messages", "max_completion_tokens", "stream", "stream_options"}


def test_a_guardrail_goes_along_and_its_intervention_is_told(stub: Stub) -> None:
    call = Call("m", CALL.messages, 50, guardrail=Guardrail("abc", "1"))
    stub.reply(stream("Blocked.", **{"amazon-bedrock-guardrailAction": "INTERVENED"}))
    events = list(provider(stub.url).open(call, timeout=10))
    assert events[:2] == [Text("Blocked."), Finish("content_filter")]
    headers = stub.requests[0].headers
    assert headers["x-amzn-bedrock-guardrailidentifier"] == "abc"
    assert headers["x-amzn-bedrock-guardrailversion"] == "1"
    assert "x-amzn-bedrock-guardrailidentifier" in headers["authorization"]  # signed, so that nobody takes it away


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(403, body=b'{"message": "canary-prompt"}'), ProviderMisconfigured),
        (Reply(404, body=b'{"error": {"message": "canary-prompt"}}'), ProviderMisconfigured),
        (Reply(429), ProviderUnavailable),
        (Reply(500), ProviderUnavailable),
        (Reply(400, body=b'{"error": {"message": "canary-prompt"}}'), ProviderRejected),
    ],
)
def test_refusals_mean_what_they_mean_elsewhere(stub: Stub, reply: Reply, kind: type[ProviderError]) -> None:
    stub.reply(reply)
    with pytest.raises(ProviderError) as caught:
        provider(stub.url).open(CALL, timeout=10)
    assert type(caught.value) is kind
    assert "canary" not in f"{caught.value!r} {caught.value.__context__!r}"


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(ProviderUnavailable):
        provider(f"http://127.0.0.1:{closed_port()}").open(CALL, timeout=10)


def heard(*pieces: Event) -> list[Event]:
    return list(untagged(iter(pieces)))


def told(events: list[Event]) -> tuple[str, str]:
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    return thought, "".join(event.text for event in events if isinstance(event, Text))


@pytest.mark.parametrize(
    ("pieces", "thought", "text"),
    [
        (["plain"], "", "plain"),
        (["<reasoning>a</reasoning>b"], "a", "b"),
        (["<reason", "ing>a</rea", "soning>b"], "a", "b"),
        (["<reasoning>a</reasoning>", "<reasoning>b</reasoning>", "c"], "ab", "c"),
        (["a <reasoning>b</reasoning>"], "", "a <reasoning>b</reasoning>"),  # the model's own words
        (["<reasoning>cut off"], "cut off", ""),
        (["<reasonable>"], "", "<reasonable>"),
        (["<reason"], "", "<reason"),
        (["<reasoning></reasoning>", "a"], "", "a"),
    ],
)
def test_what_stands_between_the_tags_before_an_answer_is_reasoning(pieces: list[str], thought: str, text: str) -> None:
    assert told(heard(*map(Text, pieces))) == (thought, text)


def test_other_events_pass_and_end_what_was_held_back() -> None:
    start, idle = ToolStart(0, "c", "f"), Idle()
    assert heard(Text("<reasoning>a"), idle, start) == [Reasoning("a"), idle, start]
    assert heard(Text("<re"), start, Finish("stop")) == [Text("<re"), start, Finish("stop")]


@given(thought=st.text("ab<>/ reasoning", max_size=30), text=st.text("ab<>/ reasoning", max_size=30), at=st.data())
def test_nothing_is_lost_wherever_the_pieces_are_cut(thought: str, text: str, at: st.DataObject) -> None:
    whole = f"<reasoning>{thought}</reasoning>{text}"
    cuts = sorted(at.draw(st.sets(st.integers(0, len(whole)), max_size=6)) | {0, len(whole)})
    pieces = [Text(whole[a:b]) for a, b in itertools.pairwise(cuts)]
    assert told(heard(*pieces)) == told(heard(Text(whole)))
    if "</reasoning>" not in thought and not text.startswith("<reasoning>"):
        assert told(heard(*pieces)) == (thought, text)
