"""Limits of a key's own: tighter than the project's, in the same update; and the day on which a key was last used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authorizer.service import Authorizer, Denied
from chat.accounting import Account
from chatapi.aws.av import to_item
from chatapi.clock import FixedClock
from chatapi.errors import RateLimited
from chatapi.grants import Grant
from chatapi.keys import hash_key, mint_key
from chatapi.limits.windows import is_window
from chatapi.prices import dearest, price_of
from chatapi.store.items import MemoryTable
from chatapi.store.key_fields import NEVER
from chatapi.store.projects import MAX_KEYS, Limits, Projects
from chatapi.verdict import Verdict, estimate
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, MINT, PEPPER, PROJECT, authorizer, project
from tests.unit.limits.test_spend import EACH

PK = "p#" + PROJECT
READ = {"method": "GET", "resource": "/v1/models", "content_length": None}
OTHER = mint_key(MINT, PROJECT, "k2")


def two_keys(own: dict[str, int], **limits: Any) -> FakeProjects:
    """A project whose first key has limits of its own and whose second has none."""
    item = project(**limits)
    item["k_k1"]["l"] = own
    item["k_k2"] = {"h": hash_key(PEPPER, OTHER), "e": NEVER, "s": ["chat"], "c": 1}
    return FakeProjects(item)


def ask(service: Authorizer, key: str = KEY, **request: Any) -> Verdict | dict[str, str]:
    try:
        return service.decide(f"Bearer {key}", **{**CHAT, **request})
    except Denied as denied:
        return denied.context


def admitted(service: Authorizer, times: int, key: str = KEY, **request: Any) -> int:
    return sum(isinstance(ask(service, key, **request), Verdict) for _ in range(times))


@pytest.mark.parametrize(
    ("own", "reason"),
    [({"rpm": 4}, "requests"), ({"tpm": 4 * estimate(400) + 9}, "tokens"), ({"smo": 4 * EACH + 1}, "quota")],
)
def test_a_key_admits_exactly_its_own_limit_and_its_neighbour_is_not_touched(own: dict[str, int], reason: str) -> None:
    store = two_keys(own, conc=50)
    service = Authorizer(
        store, table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=FixedClock(), dearest=dearest("local")
    )
    assert admitted(service, 10) == 4
    before = dict(store.items[PK])
    refusal = ask(service)
    assert isinstance(refusal, dict)
    assert refusal["reason"] == reason
    assert store.items[PK] == before
    assert admitted(service, 10, OTHER) == 10


def test_the_projects_limit_still_binds_a_key_that_has_room() -> None:
    service = authorizer(two_keys({"rpm": 50}, rpm=6))
    assert admitted(service, 3, OTHER, **READ) == 3
    assert admitted(service, 10, **READ) == 3


def test_the_tighter_of_the_two_is_told() -> None:
    service = authorizer(two_keys({"rpm": 4, "tpm": 10**9}))
    verdict = ask(service)
    assert isinstance(verdict, Verdict)
    told = verdict.ratelimit
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("4", "3")
    assert told["x-ratelimit-limit-tokens"] == "1000000"  # the project's: the key has more left
    # and a refusal tells it from memory alike
    admitted(service, 3)
    for _ in range(2):
        refusal = ask(service)
        assert isinstance(refusal, dict)
        assert (refusal["limit_requests"], refusal["remaining_requests"]) == ("4", "0")


def test_a_warm_function_makes_one_call_and_a_cold_one_asks_twice_once() -> None:
    store = two_keys({"rpm": 50})
    service = authorizer(store)
    ask(service, **READ)
    assert len(store.calls) == 2
    admitted(service, 5, **READ)
    assert len(store.calls) == 7


def test_settling_gives_back_to_both() -> None:
    store = two_keys({"tpm": 5000, "smo": 10**6})
    verdict = ask(authorizer(store))
    assert isinstance(verdict, Verdict)
    account = Account(store, "T", verdict)
    account.cover(100, 2000, price_of("smollm2-135m"))
    account.settle(7, 3)
    item = store.items[PK]
    assert {5000 - value for name, value in item.items() if name[:6] in ("t0_k1_", "t1_k1_")} == {10}
    assert {10**6 - value for name, value in item.items() if name.startswith("s_k1_")} == {2}


def test_max_tokens_above_the_keys_own_limit_is_told_not_to_retry() -> None:
    store = two_keys({"tpm": 2000})
    verdict = ask(authorizer(store))
    assert isinstance(verdict, Verdict)
    with pytest.raises(RateLimited) as caught:
        Account(store, "T", verdict).cover(100, 3000)
    assert caught.value.headers["x-should-retry"] == "false"


def test_the_item_stays_small_with_eight_keys_that_have_every_limit() -> None:
    # given eight keys with every limit, that chat all the time for ten minutes
    clock, table = FixedClock(1_800_000_000), MemoryTable(None)
    projects = Projects(table, mint=MINT, pepper=PEPPER, clock=clock)
    own = Grant(("chat",), rpm=10**6, tpm=10**9, spend=10**9)
    name, _ = projects.create("n", Limits(rpm=10**6, tpm=10**9, conc=1000), region="eu-central-1")
    projects.revoke(name, "k1")
    keys = [projects.add_key(name, own)[0] for _ in range(MAX_KEYS)]
    store = FakeProjects(table.rows["p#" + name, None])
    service, largest = authorizer(store, clock), 0
    for _ in range(120):
        for key in keys:
            verdict = ask(service, key)
            assert isinstance(verdict, Verdict)
            Account(store, "T", verdict).settle(5, 5)
        largest = max(largest, size(store.items["p#" + name]))
        clock.advance(5)
    # then the item is below 3 KB: an admission and a settle of it, 160 times a second
    assert largest < 3 * 1024
    assert sum(map(is_window, store.items["p#" + name])) < 110


def size(item: dict[str, Any]) -> int:
    """Roughly what DynamoDB counts: names, texts, binaries, and half a byte a digit (its JSON is always larger)."""
    return sum(len(name) + weight(value) for name, value in item.items())


def weight(value: Any) -> int:
    match value:
        case dict():
            return 3 + sum(1 + len(name) + weight(part) for name, part in value.items())
        case list() | frozenset():
            return 3 + sum(1 + weight(part) for part in value)
        case int():
            return 2 + len(str(value)) // 2
    assert len(json.dumps(to_item({"v": value}))) >= len(value)
    return len(value)


def test_a_key_tells_the_day_of_its_last_use_without_a_further_call() -> None:
    clock, table = FixedClock(1_800_000_000), MemoryTable(None)  # 2027-01-15
    projects = Projects(table, mint=MINT, pepper=PEPPER, clock=clock)
    name, key = projects.create("n", Limits(), region="eu-central-1")
    assert [shown.last_used for shown in projects.keys(name)] == [None]
    store = FakeProjects(table.rows["p#" + name, None])
    service = authorizer(store, clock)
    ask(service, key)
    assert len(store.calls) == 1
    assert [shown.last_used for shown in projects.keys(name)] == ["2027-01-15"]
    clock.advance(86_400)
    ask(service, key, **READ)
    assert [shown.last_used for shown in projects.keys(name)] == ["2027-01-16"]
    # a refusal is no use, and a successor has not been used
    clock.advance(86_400)
    assert isinstance(ask(service, key, content_length=None), dict)
    projects.rotate(name, "k1")
    assert [shown.last_used for shown in projects.keys(name)] == ["2027-01-16", None]
