"""Leases: requests debited in advance. What they cost, what they never exceed, and how soon a revocation counts."""

from __future__ import annotations

from typing import Any

import pytest

from authorizer.leases import LIFE
from authorizer.service import Authorizer, Denied, Unauthorized
from chat.accounting import Account
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.clock import FixedClock
from chatapi.limits.settlement import settle
from chatapi.verdict import Verdict, estimate
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, PROJECT, authorizer, project

PK = "p#" + PROJECT
READ = {"method": "GET", "resource": "/v1/models", "content_length": None}
START = 1_800_000_001
ROOMY = {"rpm": 10**6, "rpd": 10**7, "tpm": 10**12, "tpmo": 10**13, "conc": 0, "lease": 8}


def house(**limits: Any) -> tuple[FakeProjects, FixedClock, Authorizer]:
    store, clock = FakeProjects(project(**{**ROOMY, **limits})), FixedClock(START)
    return store, clock, authorizer(store, clock)


def ask(service: Authorizer, **request: Any) -> Verdict | dict[str, str]:
    try:
        return service.decide(f"Bearer {KEY}", **{**CHAT, **request})
    except Denied as denied:
        return denied.context


def admitted(service: Authorizer, times: int, **request: Any) -> int:
    return sum(isinstance(ask(service, **request), Verdict) for _ in range(times))


@pytest.mark.parametrize("request_", [CHAT, READ], ids=["chat", "read"])
def test_a_busy_caller_costs_at_most_fifteen_hundredths_of_a_call_a_request(request_: dict[str, Any]) -> None:
    # given five minutes at fifty requests a second in one warm function
    store, clock, service = house()
    for _ in range(15_000):
        assert isinstance(ask(service, **request_), Verdict)
        clock.advance(0.02)
    assert 0.125 * 15_000 <= len(store.calls) <= 0.15 * 15_000


@pytest.mark.parametrize(
    "limits", [{"rpm": 100}, {"rpd": 100}, {"tpm": 100 * estimate(400) + 9}, {"tpmo": 100 * estimate(400) + 9}]
)
def test_exactly_the_limit_is_admitted_by_functions_that_share_it(limits: dict[str, int]) -> None:
    store, clock, first = house(**limits)
    second = authorizer(store, clock)
    assert sum(admitted(service, 1) for _ in range(200) for service in (first, second)) == 100


def test_a_caller_who_asks_now_and_then_loses_nothing() -> None:
    # given a request every two seconds: nothing is debited in advance
    store, clock, service = house()
    for _ in range(20):
        ask(service, **READ)
        clock.advance(2)
    (day,) = (value for name, value in store.items[PK].items() if name.startswith("d_"))
    assert 10**7 - day == 20


def test_what_is_left_of_a_lease_is_lost_and_never_more() -> None:
    store, clock, service = house()
    admitted(service, 16)  # leases of 1, 2, 4 and 8, and one that is half used
    clock.advance(LIFE)
    admitted(service, 1)
    (day,) = (value for name, value in store.items[PK].items() if name.startswith("d_"))
    assert 16 <= 10**7 - day <= 16 + 1 + 7


def test_a_revocation_counts_within_a_second_of_any_clock() -> None:
    store, clock, service = house()
    admitted(service, 8)  # the lease of 8 has just begun
    del store.items[PK]["k_k1"]
    assert isinstance(ask(service), Verdict)  # what was debited in advance is still handed out …
    clock.advance(LIFE)
    for _ in range(3):
        with pytest.raises(Unauthorized):  # … for a second
            service.decide(f"Bearer {KEY}", **CHAT)


class TwoClocks(FixedClock):
    """A clock whose time of day and whose monotonic time move apart."""

    ahead = 0.0

    def monotonic(self) -> float:
        return self.now() + self.ahead


@pytest.mark.parametrize(("wall", "monotonic"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 0.0), (-3600.0, 1.0), (3600.0, 0.0)])
def test_a_clock_that_is_set_or_a_function_that_was_frozen_ends_a_lease(wall: float, monotonic: float) -> None:
    store, clock = FakeProjects(project(**ROOMY)), TwoClocks(START)
    service = authorizer(store, clock)
    admitted(service, 8)
    calls = len(store.calls)
    clock.advance(wall)
    clock.ahead = monotonic - wall
    ask(service)
    assert len(store.calls) == calls + 1


def test_a_lease_ends_with_the_first_of_its_windows() -> None:
    # given a lease that was taken 50 ms before a minute ends, when the minute is over, then it is not used any more
    store, clock, service = house()
    clock.advance(58.95)
    admitted(service, 8)
    calls = len(store.calls)
    clock.advance(0.1)
    ask(service)
    assert len(store.calls) == calls + 1


def test_a_larger_request_takes_no_share_of_a_smaller_ones_lease() -> None:
    store, _, service = house()
    admitted(service, 8)
    calls = len(store.calls)
    large = ask(service, content_length=40_000)
    assert isinstance(large, Verdict)
    assert large.reserved == estimate(40_000)
    assert len(store.calls) == calls + 1


def test_another_key_or_kind_has_no_part_in_a_lease() -> None:
    store, _, service = house()
    admitted(service, 8)
    calls = len(store.calls)
    ask(service, **READ)
    assert len(store.calls) == calls + 1


def test_projects_with_a_cap_of_chats_have_no_leases() -> None:
    store, _, service = house(conc=1000)
    admitted(service, 20)
    assert len(store.calls) == 20


def test_an_expired_key_is_refused_in_the_middle_of_a_lease() -> None:
    store, clock, service = house()
    store.items[PK]["k_k1"]["e"] = START + 1
    clock.advance(0.5)
    admitted(service, 8)
    clock.advance(0.5)
    with pytest.raises(Unauthorized):
        service.decide(f"Bearer {KEY}", **CHAT)


def test_a_leased_chat_settles_to_what_it_used_and_without_a_slot() -> None:
    store, _, service = house()
    verdicts = [ask(service) for _ in range(15)]
    for verdict in verdicts[1:]:
        assert isinstance(verdict, Verdict)
        assert verdict.slot == b""
        account = Account(store, "T", verdict)
        account.settle(7, 3)
        account.settle(7, 3)
    first = verdicts[0]
    assert isinstance(first, Verdict)
    Account(store, "T", first).settle(7, 3)  # a cold function's first chat had a slot
    item = store.items[PK]
    assert "inf" not in item
    (month,) = (value for name, value in item.items() if name.startswith("m_"))
    assert 10**13 - month == 15 * 10


class Lossy:
    """A store whose answer to a settle is lost: the write happens, or not."""

    def __init__(self, store: FakeProjects, *, happens: bool) -> None:
        self.store, self.happens, self.sent = store, happens, 0

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.sent += 1
        if self.happens:
            self.store.call(operation, payload)
        raise AwsUnavailable("Timeout")


@pytest.mark.parametrize("happens", [True, False])
def test_a_settle_without_a_slot_whose_answer_is_lost_is_never_sent_again(happens: bool) -> None:
    store, _, service = house()
    admitted(service, 1)
    verdict = ask(service)
    assert isinstance(verdict, Verdict)
    before = {name: value for name, value in store.items[PK].items() if name.startswith("m_")}
    lossy = Lossy(store, happens=happens)
    account = Account(store, "T", verdict, lossy)
    account.settle(10)
    account.settle(10)
    after = {name: value for name, value in store.items[PK].items() if name.startswith("m_")}
    # then it counted once, or the reservation stays debited: the safe side
    assert lossy.sent == 1
    given_back = sum(after.values()) - sum(before.values())
    assert given_back == (verdict.reserved - 10 if happens else 0)


def test_a_settle_with_a_slot_that_is_lost_leaves_its_reservation_and_its_slot_heals() -> None:
    store, clock = FakeProjects(project(conc=1)), FixedClock(START)
    service = authorizer(store, clock)
    verdict = ask(service)
    assert isinstance(verdict, Verdict)
    lossy = Lossy(store, happens=False)
    Account(lossy, "T", verdict).settle(10)
    assert isinstance(ask(service), dict)
    clock.advance(907)
    assert isinstance(ask(service), Verdict)
    (month,) = (value for name, value in store.items[PK].items() if name.startswith("m_"))
    assert 10**9 - month == 2 * estimate(400)
    # and delivered late it changes nothing
    deltas = dict.fromkeys(verdict.token_windows, 10 - verdict.reserved)
    with pytest.raises(AwsError, match="ConditionalCheckFailed"):
        store.call("UpdateItem", settle("T", PROJECT, verdict.slot, deltas))


def test_dead_slots_of_cold_starts_are_taken_out_in_passing() -> None:
    # given a cold function's first chat, which has a slot, and dies
    store, clock, service = house()
    ask(service)
    assert len(store.items[PK]["inf"]) == 1
    clock.advance(910)
    for _ in range(2):
        ask(service)
        clock.advance(2)
    ask(service)
    assert "inf" not in store.items[PK]
