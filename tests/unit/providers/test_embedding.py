"""Embeddings by an OpenAI-compatible server and by Titan, against servers on loopback."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from chat.providers.base import (
    EmbedCall,
    Finish,
    ProviderBroken,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Usage,
    Vectors,
)
from tests.support.openai_server import at
from tests.support.scripted_answers import vector
from tests.support.scripted_upstream import ScriptedUpstream
from tests.unit.aws.stub import Drop, Reply, Stub
from tests.unit.providers.test_bedrock import provider as bedrock

CALL = EmbedCall("m", ("canary-a", "canary-longer"), None, "pseudonym")


def openai_reply(data: Any, **more: Any) -> Reply:
    return Reply(body=json.dumps({"object": "list", "data": data, **more}).encode())


def entry(index: int, *numbers: float) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": list(numbers)}


def test_an_openai_server_is_asked_once_and_its_order_is_put_right() -> None:
    with ScriptedUpstream() as upstream:
        events = list(at(upstream.base_url).embed(CALL, timeout=10))
        [asked] = upstream.requests
    assert isinstance(events[0], Vectors)
    assert [found.tolist() for found in events[0].vectors] == [vector(text, 4) for text in CALL.inputs]  # type: ignore[arg-type]
    assert events[1:] == [Finish("stop"), Usage(5, 0)]
    assert asked.path == "/v1/embeddings"
    assert asked.headers["cache-control"] == "no-store"
    assert asked.body == {
        "model": "m",
        "input": list(CALL.inputs),
        "encoding_format": "base64",
        "user": "pseudonym",
    }


def test_numbers_are_understood_and_a_missing_usage_is_estimated(stub: Stub) -> None:
    stub.reply(openai_reply([entry(0, 0.5), entry(1, 1)]))
    events = list(at(stub.url).embed(CALL, timeout=10))
    assert events[-1] == Usage(2 + 3, 0)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [entry(0, 1.0)],
        [entry(0, 1.0), entry(0, 1.0)],
        [entry(0, 1.0), entry(1, 1.0), entry(2, 1.0)],
        [entry(0, 1.0), entry(1, 1.0, 2.0)],
        [entry(0), entry(1)],
        [entry(0, float("nan")), entry(1, 1.0)],
        [entry(0, 1e300), entry(1, 1.0)],
        [{**entry(0), "embedding": "AAA"}, entry(1, 1.0)],
        [{**entry(0), "embedding": "canary"}, entry(1, 1.0)],
        None,
    ],
)
def test_what_is_no_answer_breaks_off(stub: Stub, data: Any) -> None:
    stub.reply(openai_reply(data))
    with pytest.raises(ProviderBroken) as caught:
        list(at(stub.url).embed(CALL, timeout=10))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(400, b'{"error": {"message": "canary"}}'), ProviderRejected),
        (Reply(500), ProviderUnavailable),
        (Reply(501), ProviderUnavailable),
        (Drop(), ProviderUnavailable),
    ],
)
def test_refusals_come_before_acceptance(stub: Stub, reply: Any, kind: type[ProviderError]) -> None:
    stub.reply(reply, reply)
    with pytest.raises(kind) as caught:
        at(stub.url).embed(CALL, timeout=10)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_titan_is_asked_for_one_text_after_the_other(stub: Stub) -> None:
    for number in (1.0, 2.0):
        stub.reply(Reply(body=json.dumps({"embedding": [number, 0.5], "inputTextTokenCount": 3}).encode()))
    call = EmbedCall("amazon.titan-embed-text-v2:0", CALL.inputs, 2, "canary-user")
    events = list(bedrock(stub.url).embed(call, timeout=10))
    assert isinstance(events[0], Vectors)
    assert [found.tolist() for found in events[0].vectors] == [[1.0, 0.5], [2.0, 0.5]]
    assert events[-1] == Usage(6, 0)
    assert {asked.path for asked in stub.requests} == {"/model/amazon.titan-embed-text-v2%3A0/invoke"}
    assert [json.loads(asked.body) for asked in stub.requests] == [
        {"inputText": text, "normalize": True, "dimensions": 2} for text in CALL.inputs
    ]


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (Reply(400, b'{"message": "Too many input tokens: canary"}'), ProviderRejected),
        (Reply(500), ProviderBroken),
        (Reply(403), ProviderBroken),
    ],
)
def test_titan_fails_at_a_later_text_and_says_what_the_earlier_ones_used(
    stub: Stub, reply: Reply, raised: type[ProviderError]
) -> None:
    # given two texts that are embedded, one without a count, and a third that is not
    stub.reply(Reply(body=b'{"embedding": [1.0], "inputTextTokenCount": 5}'), Reply(body=b'{"embedding": [1.0]}'))
    stub.reply(reply, reply)
    call = EmbedCall("amazon.titan-embed-text-v2:0", ("one", "twelve chars", "three"), None, "canary-user")
    # when
    events = iter(bedrock(stub.url).embed(call, timeout=10))
    # then
    assert next(events) == Usage(5 + 3, 0)
    with pytest.raises(raised) as caught:
        next(events)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (Reply(400, b'{"message": "Too many input tokens: canary"}'), ProviderRejected(Rejection.CONTEXT_LENGTH)),
        (Reply(400, b"{}", {"x-amzn-errortype": "ValidationException"}), ProviderRejected(Rejection.BAD_REQUEST)),
        (Reply(403), ProviderMisconfigured()),
        (Reply(body=b'{"embedding": ["canary"]}'), ProviderBroken()),
        (Reply(body=b'{"embedding": [1.0, 2.0]}'), ProviderBroken()),
    ],
)
def test_titan_refuses_or_answers_nothing_of_use(stub: Stub, reply: Any, raised: ProviderError) -> None:
    stub.reply(reply, reply)
    with pytest.raises(type(raised)) as caught:
        list(bedrock(stub.url).embed(CALL, timeout=10))
    assert type(caught.value) is type(raised)  # one kind is a subclass of another
    assert vars(caught.value).get("reason") == vars(raised).get("reason")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
