"""Embeddings through the checks of a chat: what is refused, and by which name; settled, disclosed, never kept."""

from __future__ import annotations

import base64
import json
from array import array
from typing import Any

import pytest

from chat import models
from chat.accounting import Account
from chat.embeddings import embed, parse
from chat.providers.base import (
    EmbedCall,
    Finish,
    ProviderBroken,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Usage,
    Vectors,
)
from chat.started import Answer
from chatapi.errors import ApiError
from chatapi.prices import cost
from tests.support import openai_types
from tests.support.chat_world import PROJECT, World, subject_of, whole
from tests.support.embedding_model import EMBEDDER, offer

CANARY = "canary-text"


def made(*vectors: list[float], tokens: int = 7) -> tuple[Any, ...]:
    return (Vectors(tuple(array("f", vector) for vector in vectors)), Finish("stop"), Usage(tokens, 0))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    offer(monkeypatch)
    return World()


def ask(world: World, **body: Any) -> Answer:
    raw = json.dumps({"model": EMBEDDER, "input": CANARY, **body}).encode()
    verdict = world.admit(len(raw))
    world.account = Account(world.projects, "T", verdict, records="R")
    try:
        return embed(world.chat, raw, verdict, world.account, 60.0)
    except ApiError:
        world.account.settle(0)  # as the handler does
        raise


def refused(world: World, **body: Any) -> tuple[int, str | None, str | None]:
    with pytest.raises(ApiError) as caught:
        ask(world, **body)
    assert "canary" not in repr((caught.value, caught.value.__context__, caught.value.__cause__))
    return caught.value.status, caught.value.code, caught.value.param


def test_vectors_are_answered_settled_disclosed_and_not_kept(world: World) -> None:
    world.provider.add(made([0.5, 1.0], [2.0, -1.5]))
    answer = ask(world, input=["a", "b"], user="canary-user", data_handling={"receipt": True})
    body = whole(answer)
    openai_types.embeddings(body)
    assert [entry["embedding"] for entry in body["data"]] == [[0.5, 1.0], [2.0, -1.5]]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert body["data_handling"]["retained"] == "none"
    assert answer.headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"
    # then the provider was told a pseudonym
    assert world.provider.embedded == [
        EmbedCall("embedder", ("a", "b"), None, subject_of(PROJECT, "user", "canary-user"))
    ]
    # and what was used is settled and disclosed to that person, and nothing else is kept
    assert (world.used(), world.slots()) == (7, 0)
    [row] = world.day_rows()
    assert (row["tokens_in"], row["tokens_out"]) == (7, 0)
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}
    assert 10**15 - min(v for k, v in world.item.items() if k.startswith("s_")) == cost(EMBEDDER, 7, 0, 0) > 0


def test_base64_is_the_floats_little_endian(world: World) -> None:
    world.provider.add(made([0.5, -2.0]))
    [entry] = whole(ask(world, encoding_format="base64"))["data"]
    assert base64.b64decode(entry["embedding"]) == b"\x00\x00\x00\x3f\x00\x00\x00\xc0"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"input": ""}, "invalid_value", "input"),
        ({"input": [""]}, "invalid_value", "input"),
        ({"input": []}, "empty_array", "input"),
        ({"input": None}, "invalid_type", "input"),
        ({"input": ["a", 1]}, "invalid_type", "input"),
        ({"input": [-1]}, None, "input"),
        ({"input": ["a"] * 2049}, None, "input"),
        ({"input": "a" * 262_145}, "invalid_value", "input"),
        ({"input": [[1] * 513]}, "context_length_exceeded", "input"),
        ({"encoding_format": "int8"}, "invalid_value", "encoding_format"),
        ({"dimensions": 0}, "invalid_value", "dimensions"),
        ({"dimensions": "2"}, "invalid_type", "dimensions"),
        ({"user": ""}, "invalid_value", "user"),
        ({"data_handling": {"ttl_seconds": 1}}, "invalid_value", "data_handling.ttl_seconds"),
        ({"model": "smollm2-135m"}, "unsupported_parameter", "model"),
    ],
)
def test_what_cannot_be_embedded_is_named_and_costs_nothing(
    world: World, body: dict[str, Any], code: str | None, param: str
) -> None:
    found = refused(world, **body)
    assert (found[0], found[2]) == (400, param)
    assert code in (None, found[1])
    assert (world.used(), world.slots(), world.provider.embedded, world.day_rows()) == (0, 0, [], [])


@pytest.mark.parametrize(("body", "param"), [({"dimensions": 2}, "dimensions"), ({"input": [1, 2]}, "input")])
def test_what_the_model_lacks_is_named(monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], param: str) -> None:
    offer(monkeypatch, capabilities=["embeddings"])
    assert refused(World(), **body) == (400, "unsupported_parameter", param)


def test_an_embeddings_model_is_refused_on_chat(world: World) -> None:
    with pytest.raises(ApiError) as caught:
        world.ask(model=EMBEDDER)
    assert (caught.value.status, caught.value.param, world.provider.calls) == (400, "model", [])


def test_without_a_live_agreement_nothing_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.chat._registry._agreements["local-model"]
    monkeypatch.setitem(agreement, "expires", agreement["signed"])
    assert refused(world)[:2] == (403, "processor_unavailable")
    assert world.provider.embedded == []


@pytest.mark.parametrize(
    ("failure", "status", "param"),
    [
        (ProviderUnavailable(), 503, None),
        (ProviderRejected(Rejection.CONTEXT_LENGTH), 400, "input"),
        (ProviderRejected(Rejection.BAD_REQUEST), 400, None),
    ],
)
def test_a_provider_that_does_not_accept_may_have_read_it(
    world: World, failure: Any, status: int, param: str | None
) -> None:
    world.provider.add(failure)
    found = refused(world)
    assert (found[0], found[2], world.used(), world.slots()) == (status, param, 0, 0)
    assert [row["tokens_in"] for row in world.day_rows()] == [0]


def test_an_answer_that_is_none_is_an_error_and_settled_by_the_estimate(world: World) -> None:
    world.provider.add((ProviderBroken(),))
    assert refused(world)[0] >= 500
    assert 0 < world.used() < 100
    assert (world.slots(), len(world.day_rows())) == (0, 1)


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        (ProviderRejected(Rejection.CONTEXT_LENGTH), (400, "context_length_exceeded", "input")),
        (ProviderRejected(Rejection.BAD_REQUEST), (400, "rejected_by_model", None)),
        (ProviderBroken(), (503, "service_unavailable", None)),
    ],
)
def test_what_the_texts_before_a_refused_one_used_is_settled_and_disclosed(
    world: World, raised: ProviderError, found: tuple[int, str, str | None]
) -> None:
    world.provider.add((Usage(9, 0), raised))
    assert refused(world, input=["a", "b"]) == found
    assert (world.used(), world.slots(), len(world.day_rows())) == (9, 0, 1)


def test_tokens_of_an_array_are_reserved_one_by_one(world: World) -> None:
    # given an array whose body has two bytes a token, so that an estimate by size would reserve half of it
    request = parse(json.dumps({"model": EMBEDDER, "input": [[1] * 512] * 20}, separators=(",", ":")).encode())
    world.provider.add(made(*[[1.0]] * 20))
    ask(world, input=request.input)
    assert world.account.reserved >= 512 * 20


def test_embeddings_have_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fallback=["smollm2-135m"])
    with pytest.raises(ValueError, match="cannot have a fallback"):
        models.Registry("local", openai=True, region="eu-central-1")
