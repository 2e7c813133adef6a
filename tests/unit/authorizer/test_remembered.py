"""Refusals remembered in memory: what a flood costs, and what must never be answered from memory."""

from __future__ import annotations

from typing import Any

import pytest

from authorizer.service import SLOT_SECONDS, Authorizer, Denied, Unauthorized
from chatapi.clock import FixedClock
from chatapi.keys import hash_key, mint_key
from chatapi.limits.admission import MAX_HOLD, Debit, Refusal
from chatapi.limits.refusals import Refusals
from chatapi.limits.settlement import settle
from chatapi.store.key_fields import NEVER
from chatapi.verdict import INSUFFICIENT_SCOPE, OK, Verdict, estimate
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, MINT, PEPPER, PROJECT, authorizer, project

READ = {"method": "GET", "resource": "/v1/models", "content_length": None}
START = 1_800_000_000  # a whole minute
PK = "p#" + PROJECT


def ask(service: Authorizer, key: str = KEY, **request: Any) -> Verdict | dict[str, str]:
    try:
        return service.decide(f"Bearer {key}", **{**CHAT, **request})
    except Denied as denied:
        return denied.context


@pytest.mark.parametrize(
    ("limits", "request_"),
    [({"rpm": 60}, READ), ({"tpm": 60 * estimate(400)}, CHAT), ({"tpm": 60 * estimate(400), "conc": 10_000}, CHAT)],
    ids=["requests", "tokens, settled at once", "tokens, chats under way"],
)
def test_at_ten_times_the_limit_a_request_costs_a_tenth_of_a_call(
    limits: dict[str, int], request_: dict[str, Any]
) -> None:
    # given one warm function, and for ten minutes ten requests a second where one is allowed
    store, clock = FakeProjects(project(**limits)), FixedClock(START)
    service, asked, admitted, settled = authorizer(store, clock), 0, 0, 0
    while clock.now() < START + 600:
        answer = ask(service, **request_)
        asked += 1
        if isinstance(answer, Verdict):
            admitted += 1
            if answer.slot and "conc" not in limits:
                used = settle("T", PROJECT, answer.slot, dict.fromkeys(answer.token_windows, 0))
                store.call("UpdateItem", used)
                settled += 1
        clock.advance(0.1)
    # then a call for each that was let in, which is a tenth, and one now and then for those that were not
    calls = len(store.calls) - settled
    assert asked >= 6000
    assert 300 <= admitted <= 660
    assert calls <= 0.15 * asked


def test_a_remembered_refusal_reads_as_the_stores_own_and_its_wait_shrinks() -> None:
    # given a refusal at second 10 of a minute
    store, clock = FakeProjects(project(rpm=1)), FixedClock(START + 10)
    service = authorizer(store, clock)
    ask(service, **READ)
    first = ask(service, **READ)
    # when the same is asked 20 s later, then no call is made, and what is told is what the store would have told
    clock.advance(19)
    calls = len(store.calls)
    again = ask(service, **READ)
    assert len(store.calls) == calls
    assert again == ask(authorizer(store, clock), **READ)
    assert isinstance(first, dict)
    assert isinstance(again, dict)
    assert int(first["retry_after_ms"]) - int(again["retry_after_ms"]) == 19_000


def test_a_memory_ends_with_the_window_and_never_before() -> None:
    store, clock = FakeProjects(project(rpm=1)), FixedClock(START + 40)
    service = authorizer(store, clock)
    ask(service, **READ)
    refusal = ask(service, **READ)
    assert isinstance(refusal, dict)
    clock.advance(int(refusal["retry_after_ms"]) / 1000 - 0.1)
    assert isinstance(ask(service, **READ), dict)
    clock.advance(0.2)
    assert isinstance(ask(service, **READ), Verdict)


def test_the_hold_of_a_refusal_for_requests_is_not_that_of_its_tokens() -> None:
    # given a project whose requests return in 20 s and a chat that would also lack tokens for longer
    store, clock = FakeProjects(project(rpm=1, tpm=estimate(400))), FixedClock(START + 10)
    service = authorizer(store, clock)
    ask(service, **READ)  # takes the one request of both windows: r1 ends at 30 s, r0 at 60 s
    store.items[PK][f"t1_{(START - 30) // 60}"] = 0
    assert isinstance(ask(service), dict)
    clock.advance(51)
    assert isinstance(ask(service), Verdict)


def test_a_smaller_chat_is_tried_and_a_larger_one_is_not() -> None:
    store = FakeProjects(project(tpm=estimate(8_000)))
    service = authorizer(store)
    first = ask(service, content_length=400)
    assert isinstance(first, Verdict)
    store.call("UpdateItem", settle("T", PROJECT, first.slot, dict.fromkeys(first.token_windows, 0)))
    assert isinstance(ask(service, content_length=8_000), dict)
    calls = len(store.calls)
    assert isinstance(ask(service, content_length=9_000), dict)
    assert len(store.calls) == calls
    assert isinstance(ask(service, content_length=400), Verdict)


def test_tokens_that_a_chat_gives_back_count_within_two_seconds() -> None:
    # given a chat under way that holds all tokens, and a refusal
    store, clock = FakeProjects(project(tpm=estimate(400))), FixedClock(START)
    service = authorizer(store, clock)
    first = ask(service)
    assert isinstance(first, Verdict)
    assert isinstance(ask(service), dict)
    # when it settles for nothing, then two seconds later the next one is let in, long before the window ends
    store.call("UpdateItem", settle("T", PROJECT, first.slot, dict.fromkeys(first.token_windows, -first.reserved)))
    clock.advance(2.1)
    assert isinstance(ask(service), Verdict)


def test_kinds_of_debit_and_keys_are_apart() -> None:
    # given a refusal of reads
    store = FakeProjects(project(rpm=1))
    store.items[PK]["k_k1"]["s"] = ["chat", "history", "privacy"]
    service = authorizer(store)
    ask(service, **READ)
    assert isinstance(ask(service, **READ), dict)
    # then the rights have their own bucket, and another key of the project is asked of the store
    assert isinstance(ask(service, method="GET", resource="/v1/privacy/requests"), Verdict)
    other = mint_key(MINT, PROJECT, "k2")
    store.items[PK]["k_k2"] = {"h": hash_key(PEPPER, other), "e": NEVER, "s": ["history"], "c": 1}
    calls = len(store.calls)
    assert isinstance(ask(service, other, method="GET", resource="/v1/chat/completions"), dict)
    assert len(store.calls) == calls + 1
    # and a scope that is missing is still told as such
    missing = ask(service, other, **READ)
    assert isinstance(missing, Verdict)
    assert missing.outcome == INSUFFICIENT_SCOPE


def test_concurrency_is_never_remembered() -> None:
    store = FakeProjects(project(conc=1))
    service = authorizer(store)
    first = ask(service)
    assert isinstance(first, Verdict)
    assert isinstance(ask(service), dict)
    store.call("UpdateItem", settle("T", PROJECT, first.slot, dict.fromkeys(first.token_windows, 0)))
    assert isinstance(ask(service), Verdict)


def test_a_key_made_after_it_was_refused_works_at_once() -> None:
    # given a project that does not know the key yet, or one whose key has expired, or one that is suspended
    for change in ({"k_k1": None}, {"k_k1": {**project()["k_k1"], "e": 1}}, {"st": "S"}):
        store = FakeProjects({k: v for k, v in project(**change).items() if v is not None})
        service = authorizer(store)
        with pytest.raises((Unauthorized, Denied)):
            service.decide(f"Bearer {KEY}", **CHAT)
        # when it is made, prolonged, or the project set free, then the next request passes
        store.items[PK] = project()
        verdict = ask(service)
        assert isinstance(verdict, Verdict)
        assert verdict.outcome == OK


def test_a_key_whose_place_another_has_taken_is_refused_from_memory() -> None:
    store = FakeProjects(project(k_k1={"h": b"another", "e": NEVER, "s": ["chat"], "c": 1}))
    service = authorizer(store)
    for _ in range(5):
        with pytest.raises(Unauthorized):
            service.decide(f"Bearer {KEY}", **CHAT)
    assert len(store.calls) == 1


def test_a_revoked_key_stays_refused_and_is_told_so_when_the_memory_ends() -> None:
    store, clock = FakeProjects(project(rpd=1)), FixedClock(START)
    service = authorizer(store, clock)
    ask(service, **READ)
    assert isinstance(ask(service, **READ), dict)
    del store.items[PK]["k_k1"]
    assert isinstance(ask(service, **READ), dict)
    clock.advance(MAX_HOLD)
    with pytest.raises(Unauthorized):
        service.decide(f"Bearer {KEY}", **READ)


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory, refusal = Refusals(capacity=3), Refusal("requests", 30, hold=30)
    for number in range(5):
        memory.remember(bytes([number]), "chat", Debit("read"), refusal, {"k_k1": {"h": b"x"}, "rpm": 1}, START)
    recalled = [memory.recall(bytes([number]), "chat", Debit("read"), START + 1) for number in range(5)]
    assert [answer is not None for answer in recalled] == [False, False, True, True, True]
    # and keeps of an item just the limits and counters
    assert recalled[4] == (Refusal("requests", 29, hold=30), {"rpm": 1})


@pytest.mark.parametrize("step", [-1, -3600, 31])
def test_a_clock_set_back_or_on_ends_a_memory(step: float) -> None:
    memory = Refusals()
    memory.remember(b"h", "chat", Debit("read"), Refusal("requests", 30, hold=30), {}, START)
    assert memory.recall(b"h", "chat", Debit("read"), START + step) is None


def test_a_slots_life_is_longer_than_any_memory() -> None:
    assert MAX_HOLD < SLOT_SECONDS
