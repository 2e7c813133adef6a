"""Limits of each end user: one more update where there are such limits, settled once, erased with the person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.allowance import Allowance
from chat.providers.base import Finish, Text, Usage
from chatapi.aws.av import from_av
from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import catalogue
from chatapi.errors import RateLimited
from chatapi.limits.windows import is_window
from chatapi.store.keys import ALLOWANCE, UNDATED, subject_pk
from tests.support.campaign import examples
from tests.support.chat_world import PROJECT, World, subject_of, whole
from tests.support.fake_projects import FakeProjects

HELLO = [Text("Hello"), Finish("stop"), Usage(5, 2)]
NOW = 1_800_000_010.0


def row(world: World, user: str = "ada") -> dict[str, Any]:
    return world.projects.items[subject_pk(PROJECT, subject_of(PROJECT, "user", user), UNDATED) + "/" + ALLOWANCE]


def ask(world: World, **body: Any) -> Any:
    """A chat as the handler runs it: what is refused is settled with nothing."""
    world.provider.add(HELLO)
    try:
        answer = world.ask(max_tokens=10, **body)
    except RateLimited as refusal:
        world.account.settle(0)
        return refusal
    whole(answer)
    return answer


def test_each_end_user_has_the_limit_and_nobody_elses() -> None:
    world = World(user_rpm=3)
    answers = [ask(world, user="ada") for _ in range(5)]
    assert [isinstance(answer, RateLimited) for answer in answers] == [False, False, False, True, True]
    assert not isinstance(ask(world, user="grace"), RateLimited)
    # and a refusal tells when to come back, holds no slot and no tokens
    refusal = answers[-1]
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    assert 1 <= int(refusal.headers["retry-after"]) <= 60
    assert world.slots() == 0
    assert world.used() == 4 * 7


def test_tokens_are_reserved_and_settled_to_what_was_used() -> None:
    world = World(user_tpm=10_000)
    ask(world, user="ada")
    item = row(world)
    assert {10_000 - value for name, value in item.items() if is_window(name)} == {7}
    assert "inf" not in item


def test_what_one_chat_cannot_ever_have_is_told_without_a_call() -> None:
    world = World(user_tpm=5)
    calls = len(world.projects.calls)
    refusal = ask(world, user="ada")
    assert refusal.headers == {"x-should-retry": "false"}
    assert len(world.projects.calls) == calls + 2  # the authorizer's, and the settle of its reservation


@pytest.mark.parametrize(
    ("limits", "body", "calls"),
    [
        ({}, {"user": "ada"}, 2),
        ({"user_rpm": 5}, {}, 2),
        ({"user_rpm": 5}, {"user": "ada"}, 3),
        ({"user_tpm": 5000}, {"safety_identifier": "ada"}, 4),
        ({"user_rpm": 5, "user_tpm": 5000}, {"user": "ada"}, 4),
    ],
)
def test_the_calls_are_counted(limits: dict[str, int], body: dict[str, str], calls: int) -> None:
    world = World(**limits)  # type: ignore[arg-type]
    ask(world, **body)
    assert len(world.projects.calls) == calls


def test_the_tighter_limit_is_told() -> None:
    world = World(user_rpm=3, user_tpm=10**9)
    headers = ask(world, user="ada").headers
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert "x-ratelimit-limit-tokens" not in headers  # the project's, told by the verdict, has less left


def test_the_row_is_catalogued_names_nobody_and_ends() -> None:
    world = World(user_rpm=3, user_tpm=10_000)
    ask(world, user="ada@example.org")
    item = row(world, "ada@example.org")
    kind = catalogue().kinds["allowance"]
    assert kind.erase == "delete"
    assert all(kind.allows(field) for field in item)
    assert item["ttl"] == int(world.clock.now()) + 86_400
    sent = json.dumps(world.projects.calls)
    assert "ada" not in sent


@given(
    uses=st.lists(st.tuples(st.integers(1, 900), st.integers(0, 900), st.integers(1, 3)), max_size=12),
    step=st.integers(0, 40),
)
@settings(max_examples=examples(60), deadline=None)
def test_whatever_is_delivered_twice_the_account_is_exact(uses: list[tuple[int, int, int]], step: int) -> None:
    store, now, used = FakeProjects(), NOW, 0
    for reserve, actual, times in uses:
        allowance = Allowance(store, "R", "p", "sub_x", 0, 2000)
        try:
            allowance.debit(reserve, now)
        except RateLimited:
            continue
        finally:
            now += step / 10
        before = len(store.calls)
        allowance.settle(min(actual, reserve))
        settle = store.calls[before]
        for _ in range(times - 1):
            with pytest.raises(Exception, match="ConditionalCheckFailed"):
                store.call("UpdateItem", settle)
        used += min(actual, reserve)
    items = list(store.items.values())
    if items and step == 0:
        assert {2000 - value for name, value in items[0].items() if is_window(name)} == {used}
    assert all(value >= 0 for item in items for name, value in item.items() if is_window(name))


def test_a_settle_that_is_lost_keeps_its_reservation_and_the_next_chat_takes_the_dead_slot_along() -> None:
    store = FakeProjects()
    Allowance(store, "R", "p", "sub_x", 0, 2000).debit(500, NOW)  # and its function is killed
    (item,) = store.items.values()
    assert len(item["inf"]) == 1
    late = Allowance(store, "R", "p", "sub_x", 0, 2000)
    late.debit(100, NOW + 1000)
    late.settle(10)
    assert "inf" not in item
    assert sum(map(is_window, item)) == 2  # the expired ones went as well


def test_a_person_erased_in_the_middle_of_a_chat_leaves_nothing_behind() -> None:
    store = FakeProjects()
    allowance = Allowance(store, "R", "p", "sub_x", 0, 2000)
    allowance.debit(500, NOW)
    store.items.clear()
    allowance.settle(10)
    assert store.items == {}


def test_a_store_that_is_down_lets_nobody_through() -> None:
    store = FakeProjects()
    store.down = True
    with pytest.raises(AwsUnavailable):
        Allowance(store, "R", "p", "sub_x", 5, 0).debit(500, NOW)


def test_the_item_is_found_by_subject_alone() -> None:
    store = FakeProjects()
    Allowance(store, "R", "p", "sub_x", 5, 0).debit(500, NOW)
    assert {name: from_av(value) for name, value in store.calls[0]["Key"].items()} == {
        "pk": "s#p#sub_x#-",
        "sk": "allowance",
    }
