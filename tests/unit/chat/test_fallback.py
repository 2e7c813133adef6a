"""Fallbacks before the first token: each is checked, disclosed and told; a breaker passes over who keeps failing."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest

from chat import models, service
from chat.fallback import FAILURES, PAUSE
from chat.providers.base import (
    ProviderBroken,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Text,
)
from chat.providers.scripted import answer
from chatapi.catalogue import read_policy
from chatapi.errors import ApiError, Forbidden
from chatapi.prices import Price
from tests.support.chat_world import World, frames, whole

FIRST, SECOND = "smollm2-135m", "bedrock-smollm2-135m"


def world_with_fallback(**changes: Any) -> World:
    world = World()
    registry = world.chat._registry
    registry.models[FIRST] = dataclasses.replace(registry.models[FIRST], fallback=("absent", SECOND))
    registry.models[SECOND] = dataclasses.replace(registry.models[SECOND], **changes)
    return world


def test_the_next_model_serves_and_the_answer_says_so() -> None:
    world = world_with_fallback()
    world.provider.add(ProviderUnavailable(), answer("a", prompt_tokens=5))
    done = world.ask(store=True)
    body = whole(done)
    assert body["model"] == SECOND
    assert "processor=amazon-bedrock;" in done.headers["data-handling"]
    # both may have read the messages, and what was used is settled once
    assert sorted((row["sk"].rpartition("#")[2], row["tokens_out"]) for row in world.day_rows()) == [
        ("amazon-bedrock", 1),
        ("local-model", 0),
    ]
    assert (world.used(), world.slots()) == (6, 0)


def test_a_dearer_fallback_is_reserved_and_settled_at_its_own_price(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model that costs nothing, and a fallback of seven micro-USD a token
    prices = {FIRST: Price(0, 0, 0), SECOND: Price(0, 0, 7_000_000)}
    monkeypatch.setattr(service, "price_of", prices.__getitem__)
    world = world_with_fallback()
    world.provider.add(ProviderUnavailable(), answer("a", prompt_tokens=5))

    # when the fallback serves
    started = world.ask(max_tokens=1_000)
    reserved = world.account.spend
    whole(started)

    # then all that it could have cost was held, and what it did cost is kept
    assert (reserved, world.spent()) == (7_000, 7)


@pytest.mark.parametrize("reason", list(Rejection))
def test_a_rejection_is_no_reason_to_ask_somebody_else(reason: Rejection) -> None:
    world = world_with_fallback()
    world.provider.add(ProviderRejected(reason), answer("a"))
    with pytest.raises(ApiError) as caught:
        world.ask()
    assert (caught.value.status, len(world.provider.calls)) == (400, 1)


def test_after_the_first_token_nobody_else_is_asked() -> None:
    world = world_with_fallback()
    world.provider.add([Text("a"), ProviderBroken()], answer("b"))
    assert frames(world.ask(stream=True))[-1]["error"]["code"] == "service_unavailable"
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"capabilities": frozenset[str]()}, {"response_format": {"type": "json_object"}}),
        ({"context": 10}, {}),
        ({"region": "us-east-1"}, {}),
    ],
)
def test_a_fallback_that_cannot_or_may_not_is_not_asked(change: dict[str, Any], asked: dict[str, Any]) -> None:
    world = world_with_fallback(**change)
    world.provider.add(ProviderUnavailable(), answer("a"))
    with pytest.raises(ApiError) as caught:
        world.ask(**asked)
    assert (caught.value.status, len(world.provider.calls)) == (503, 1)
    assert "processor=local-model;" in caught.value.headers["data-handling"]


def test_who_keeps_failing_is_passed_over_for_a_while() -> None:
    world = world_with_fallback()
    for _ in range(FAILURES):
        world.provider.add(ProviderUnavailable(), answer("a"))
        whole(world.ask())
    world.provider.add(answer("a"), answer("b"), answer("c"))
    assert whole(world.ask())["model"] == SECOND
    world.clock.advance(PAUSE)
    assert whole(world.ask())["model"] == FIRST
    assert whole(world.ask())["model"] == FIRST


def test_what_only_the_operator_can_mend_is_told_as_that_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    # given a provider that refuses our credentials
    world = World()
    world.provider.add(ProviderMisconfigured())
    # when somebody chats
    with pytest.raises(ApiError) as caught:
        world.ask()
    # then no client is led to try again, and the operator's alarm has its line
    error = caught.value
    assert (error.status, error.code, error.headers["x-should-retry"]) == (503, "model_misconfigured", "false")
    assert "retry-after" not in error.headers
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "provider_misconfigured" in line]
    assert (line["level"], line["model"], line["recipient"]) == ("error", FIRST, "local-model")


def test_a_fallback_serves_for_it_and_it_is_passed_over_at_once() -> None:
    world = world_with_fallback()
    world.provider.add(ProviderMisconfigured(), answer("a"), answer("b"))
    assert [whole(world.ask())["model"] for _ in range(2)] == [SECOND, SECOND]
    assert len(world.provider.calls) == 3


@pytest.mark.parametrize("sent", [True, False])
def test_a_provider_that_was_reached_may_have_read_the_messages(sent: bool) -> None:
    world = world_with_fallback()
    world.provider.add(ProviderMisconfigured(sent=sent), answer("a"))
    whole(world.ask())
    told = {row["sk"].rpartition("#")[2] for row in world.day_rows()}
    assert told == ({"local-model", "amazon-bedrock"} if sent else {"amazon-bedrock"})


def test_a_success_forgives_what_failed_before_it() -> None:
    world = world_with_fallback()
    for _ in range(2):
        for _ in range(FAILURES - 1):
            world.provider.add(ProviderUnavailable(), answer("a"))
            assert whole(world.ask())["model"] == SECOND
        world.provider.add(answer("a"))
        assert whole(world.ask())["model"] == FIRST


def test_where_one_of_them_may_recover_clients_try_again() -> None:
    world = world_with_fallback()
    world.provider.add(ProviderMisconfigured(), ProviderUnavailable())
    with pytest.raises(ApiError) as caught:
        world.ask()
    assert (caught.value.code, caught.value.headers["retry-after"]) == ("service_unavailable", "2")


def test_without_a_fallback_nobody_is_passed_over() -> None:
    world = World()
    for _ in range(FAILURES + 1):
        world.provider.add(ProviderUnavailable())
        with pytest.raises(ApiError):
            world.ask()
        world.account.settle(0)
    world.provider.add(answer("a"))
    assert whole(world.ask())["model"] == FIRST


def test_a_transfer_needs_a_record_that_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_with_fallback(region="us-east-1")
    registry = world.chat._registry
    model, today = registry.models[SECOND], datetime.date(2026, 6, 1)
    records: dict[str, Any] = {}
    policy = read_policy
    monkeypatch.setattr(
        models, "read_policy", lambda name: {"transfers": records} if name == "transfers" else policy(name)
    )
    for record in (None, {"assessed": datetime.date(2026, 6, 2), "expires": datetime.date(2027, 1, 1)}):
        if record is not None:
            records["amazon-bedrock"] = record
        with pytest.raises(Forbidden) as caught:
            registry.permitted(model, today)
        assert (caught.value.code, caught.value.param) == ("transfer_not_permitted", "model")
    records["amazon-bedrock"] = {"assessed": datetime.date(2026, 1, 1), "expires": datetime.date(2027, 1, 1)}
    assert registry.permitted(model, today) is model


def test_fallbacks_are_models_of_the_same_stages() -> None:
    entries = policy_models()
    for entry in entries.values():
        for name in entry.get("fallback", ()):
            assert set(entry["stages"]) <= set(entries[name]["stages"])


def policy_models() -> dict[str, Any]:
    found: dict[str, Any] = read_policy("models")["models"]
    return found
