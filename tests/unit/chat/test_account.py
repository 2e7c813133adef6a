"""The account of one chat: what is reserved beyond the authorizer's guess, and that it is settled whatever was used."""

from __future__ import annotations

import json

import pytest

from chat.accounting import Account
from chat.allowance import Allowance
from chatapi.errors import RateLimited
from chatapi.prices import Price
from tests.support.chat_world import World
from tests.support.fake_projects import FakeProjects

NOW = 1_800_000_010.0


def test_a_chat_that_used_just_what_was_reserved_gives_its_slot_back() -> None:
    world = World()
    verdict = world.admit()._replace(spend_windows=(), spend=0)
    Account(world.projects, "T", verdict).settle(verdict.reserved)
    assert world.slots() == 0
    assert world.used() == verdict.reserved


def test_what_has_no_slot_is_settled_by_the_client_that_sends_nothing_twice() -> None:
    world, once = World(), FakeProjects()
    once.items = world.projects.items
    verdict = world.admit()._replace(slot=b"")
    before = len(world.projects.calls)
    Account(world.projects, "T", verdict, once).settle(100)
    assert (len(world.projects.calls) - before, len(once.calls)) == (0, 1)
    # and where nothing is to be given back, nobody is asked
    exact = verdict._replace(spend_windows=(), spend=0)
    Account(world.projects, "T", exact, once).settle(exact.reserved)
    assert len(once.calls) == 1


@pytest.mark.parametrize(("tokens", "final"), [(1_000_000, False), (1_000_001, True)])
def test_who_waits_may_have_the_whole_limit_and_no_more(tokens: int, final: bool) -> None:
    world = World()
    world.admit()
    account = Account(world.projects, "T", world.admit())
    with pytest.raises(RateLimited) as refused:
        account.cover(0, tokens, Price(0, 0, 0))
    assert refused.value.headers == ({"x-should-retry": "false"} if final else {"retry-after": "30"})


def test_a_settle_of_a_persons_limit_that_fails_is_logged_and_one_that_came_before_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = FakeProjects()
    first, second = (Allowance(store, "R", "project1", "sub_x", 0, 2000) for _ in range(2))
    first.debit(100, NOW)
    second.debit(100, NOW)
    store.down = True
    first.settle(10)
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["project"], line["code"]) == ("settle_failed", "project1", "Timeout")
    # when an earlier attempt of the settle did reach the store
    store.down = False
    (item,) = store.items.values()
    item["inf"] = frozenset()
    second.settle(10)
    assert capsys.readouterr().out == ""
