"""Spend a month: reserved at the dearest model, topped up, settled to the micro-USD at the price of the actual one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authorizer.service import Authorizer, Denied
from chat.accounting import Account
from chat.providers.base import Finish, Text, Usage
from chatapi.clock import FixedClock
from chatapi.errors import RateLimited
from chatapi.prices import cost, dearest, price_of
from chatapi.verdict import DEFAULT_OUTPUT_TOKENS, Verdict
from tests.support.campaign import examples
from tests.support.chat_world import World, whole
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, MINT, PEPPER, PROJECT, project

PK = "p#" + PROJECT
EACH = dearest("local").cost(100, 0, DEFAULT_OUTPUT_TOKENS)
"""Reserved for a chat of 400 bytes."""


def authorizer(store: FakeProjects, clock: FixedClock | None = None) -> Authorizer:
    return Authorizer(
        store,
        table="T",
        mint=lambda: MINT,
        pepper=lambda: PEPPER,
        clock=clock or FixedClock(),
        dearest=dearest("local"),
    )


def ask(service: Authorizer, **request: Any) -> Verdict | dict[str, str]:
    try:
        return service.decide(f"Bearer {KEY}", **{**CHAT, **request})
    except Denied as denied:
        return denied.context


def left(store: FakeProjects) -> int:
    (value,) = (value for name, value in store.items[PK].items() if name.startswith("s_"))
    return int(value)


def test_exactly_what_the_budget_holds_is_admitted_and_then_it_is_a_quota() -> None:
    # given money for three chats and a bit
    store = FakeProjects(project(smo=3 * EACH + 1))
    service = authorizer(store)
    answers = [ask(service) for _ in range(5)]
    assert [isinstance(answer, Verdict) for answer in answers] == [True, True, True, False, False]
    refusal = answers[3]
    assert isinstance(refusal, dict)
    assert (refusal["code"], refusal["reason"], refusal["should_retry"]) == ("insufficient_quota", "quota", "false")
    assert left(store) == 1
    # and what costs nothing is still open
    assert isinstance(ask(service, method="GET", resource="/v1/chat/completions"), Verdict)


def test_a_new_month_is_a_new_budget() -> None:
    store, clock = FakeProjects(project(smo=EACH)), FixedClock(1_800_000_000)
    service = authorizer(store, clock)
    assert isinstance(ask(service), Verdict)
    assert isinstance(ask(service), dict)
    clock.advance(31 * 86_400)
    assert isinstance(ask(service), Verdict)


def test_an_item_that_knows_no_spend_is_admitted_after_a_second_look_and_only_one() -> None:
    # given an item made before there were limits of spend
    item = project()
    del item["smo"]
    store = FakeProjects(item)
    service = authorizer(store)
    verdict = ask(service)
    assert isinstance(verdict, Verdict)
    assert verdict.spend_windows == ()
    assert len(store.calls) == 2
    ask(service)
    assert len(store.calls) == 3


@given(
    model=st.sampled_from(["smollm2-135m", "bedrock-smollm2-135m"]),
    tokens_in=st.integers(0, 5000),
    cached=st.integers(0, 5000),
    tokens_out=st.integers(0, 5000),
    most=st.integers(1, 8000),
)
@settings(max_examples=examples(50), deadline=None)
def test_what_is_settled_is_what_the_chat_cost(
    model: str, tokens_in: int, cached: int, tokens_out: int, most: int
) -> None:
    store = FakeProjects(project(smo=10**9))
    verdict = ask(authorizer(store))
    assert isinstance(verdict, Verdict)
    assert 10**9 - left(store) == verdict.spend == EACH
    account = Account(store, "T", verdict)
    account.cover(100, most, price_of(model))
    # while it runs, at least what it may cost is reserved
    assert 10**9 - left(store) == account.spend >= cost(model, 100, 0, most)
    account.settle(tokens_in, tokens_out, cached)
    account.settle(tokens_in, tokens_out, cached)
    assert 10**9 - left(store) == cost(model, tokens_in, cached, tokens_out)


def test_max_tokens_above_what_is_left_of_the_budget_is_a_quota() -> None:
    store = FakeProjects(project(smo=EACH + 10))
    verdict = ask(authorizer(store))
    assert isinstance(verdict, Verdict)
    account = Account(store, "T", verdict)
    with pytest.raises(RateLimited) as caught:
        account.cover(100, 8000, price_of("smollm2-135m"))
    assert (caught.value.code, caught.value.headers["x-should-retry"]) == ("insufficient_quota", "false")
    account.settle(0)
    assert left(store) == EACH + 10


def test_a_whole_chat_settles_its_price() -> None:
    world = World()
    world.provider.add([Text("Hello"), Finish("stop"), Usage(50, 20, 10)])
    usage = whole(world.ask(max_tokens=5))["usage"]
    (spent,) = (10**15 - value for name, value in world.item.items() if name.startswith("s_"))
    assert spent == cost("smollm2-135m", 50, 10, 20) > 0
    assert usage["total_tokens"] == 70
