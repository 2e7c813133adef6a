"""The authorizer's decisions, one call each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authorizer.service import SLOT_SECONDS, Authorizer, Denied, Unauthorized
from chatapi.aws.errors import AwsUnavailable
from chatapi.clock import FixedClock
from chatapi.keys import hash_key, mint_key
from chatapi.limits.settlement import settle, top_up
from chatapi.store.key_fields import NEVER
from chatapi.verdict import INSUFFICIENT_SCOPE, MAX_BODY_BYTES, OK, REQUEST_TOO_LARGE, Verdict, estimate
from tests.support.campaign import examples
from tests.support.fake_projects import FakeProjects

MINT, PEPPER, PROJECT = b"m" * 32, b"p" * 32, "project1"
KEY = mint_key(MINT, PROJECT, "k1")
CHAT = {"method": "POST", "resource": "/v1/chat/completions", "content_length": 400}


def project(**limits: Any) -> dict[str, Any]:
    key = {"h": hash_key(PEPPER, KEY), "e": NEVER, "s": ["chat", "history"], "c": 1}
    base = {"pk": "p#" + PROJECT, "st": "A", "k_k1": key, "ret": "history", "region": "eu-central-1"}
    roomy = {"rpm": 100, "tpm": 1_000_000, "rpd": 10_000, "tpmo": 10**9, "conc": 5, "prm": 3, "smo": 10**15}
    return {**base, **roomy, **limits}


def authorizer(store: FakeProjects, clock: FixedClock | None = None) -> Authorizer:
    return Authorizer(store, table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=clock or FixedClock())


def refused(service: Authorizer, **request: Any) -> dict[str, str]:
    with pytest.raises(Denied) as caught:
        service.decide(f"Bearer {KEY}", **{**CHAT, **request})
    return caught.value.context


def test_a_chat_is_admitted_with_one_call_and_its_verdict_travels() -> None:
    # given a project with room, when a chat comes
    store = FakeProjects(project())
    verdict = authorizer(store).decide(f"Bearer {KEY}", **CHAT)
    # then one call decided it, and the verdict survives API Gateway's flat strings
    assert len(store.calls) == 1
    assert (verdict.outcome, verdict.project, verdict.reserved) == (OK, PROJECT, estimate(400))
    assert len(verdict.slot) == 12
    assert Verdict.from_context(verdict.to_context()) == verdict
    assert all(isinstance(value, str) for value in verdict.to_context().values())
    assert verdict.ratelimit["x-ratelimit-remaining-requests"] == "99"


def test_the_projects_flag_of_an_optional_purpose_travels() -> None:
    verdict = authorizer(FakeProjects(project(o_analytics=True, o_other=True))).decide(f"Bearer {KEY}", **CHAT)
    assert verdict.purposes == ("analytics",)
    assert Verdict.from_context(verdict.to_context()) == verdict


MALFORMED = {"none": None, "empty": "", "words": "Bearer nonsense", "basic": f"Basic {KEY}", "longer": f"Bearer {KEY}x"}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED)  # named: the key is another one in each process
def test_a_malformed_key_is_refused_without_any_call(header: str | None) -> None:
    store = FakeProjects(project())
    with pytest.raises(Unauthorized):
        authorizer(store).decide(header, **CHAT)
    assert store.calls == []


@pytest.mark.parametrize(
    "change",
    [{"k_k1": None}, {"k_k1": {"h": b"another", "e": NEVER, "s": [], "c": 1}}, {"pk": "p#other"}],
    ids=["revoked", "rotated away", "no such project"],
)
def test_a_key_that_opens_nothing_is_unauthorized(change: dict[str, Any]) -> None:
    item = {k: v for k, v in project(**change).items() if v is not None}
    with pytest.raises(Unauthorized):
        authorizer(FakeProjects(item)).decide(f"Bearer {KEY}", **CHAT)


def test_an_expired_key_is_unauthorized() -> None:
    clock = FixedClock()
    item = project()
    item["k_k1"]["e"] = int(clock.now())
    with pytest.raises(Unauthorized):
        authorizer(FakeProjects(item), clock).decide(f"Bearer {KEY}", **CHAT)


def test_a_wrong_key_learns_nothing_of_an_exhausted_project() -> None:
    # given an exhausted project and a well-formed key that is not its own any more
    item = project(rpm=1, k_k1={"h": b"x", "e": NEVER, "s": [], "c": 1})
    item["r0_30000000"] = item["r1_29999999"] = 0
    # then the answer is 401, never 429
    with pytest.raises(Unauthorized):
        authorizer(FakeProjects(item)).decide(f"Bearer {KEY}", **CHAT)


@given(limit=st.integers(1, 20))
@settings(max_examples=examples(20))
def test_exactly_the_limit_is_admitted_and_refusals_take_nothing(limit: int) -> None:
    store, clock = FakeProjects(project(rpm=limit)), FixedClock(1_800_000_045)
    service = authorizer(store, clock)
    read = {"method": "GET", "resource": "/v1/models", "content_length": None}
    for _ in range(limit):
        service.decide(f"Bearer {KEY}", **read)
    before = dict(store.items["p#" + PROJECT])
    context = refused(service, **read)
    assert store.items["p#" + PROJECT] == before
    assert (context["reason"], context["code"], context["should_retry"]) == ("requests", "rate_limit_exceeded", "true")
    assert 1 <= int(context["retry_after"]) <= 60
    # and after retry-after the next one passes
    clock.advance(int(context["retry_after_ms"]) / 1000 + 0.01)
    service.decide(f"Bearer {KEY}", **read)


def test_tokens_are_reserved_by_size_and_refused_when_short() -> None:
    store = FakeProjects(project(tpm=estimate(400) + 10))
    service = authorizer(store)
    service.decide(f"Bearer {KEY}", **CHAT)
    assert refused(service)["reason"] == "tokens"


def test_a_request_above_the_whole_limit_is_told_not_to_retry() -> None:
    context = refused(authorizer(FakeProjects(project(tpm=100))))
    assert (context["reason"], context["should_retry"]) == ("tokens", "false")


def test_a_body_of_unknown_length_is_told_why_it_never_fits() -> None:
    context = refused(authorizer(FakeProjects(project())), content_length=None)
    assert (context["reason"], context["should_retry"]) == ("tokens", "false")
    assert "content-length" in context["message"]


def test_a_daily_quota_is_final() -> None:
    context = refused(authorizer(FakeProjects(project(rpd=1, d_270115=0))))
    assert (context["code"], context["should_retry"]) == ("insufficient_quota", "false")


def test_a_suspended_project_is_refused_but_its_rights_are_not() -> None:
    item = project(st="S")
    item["k_k1"]["s"] = ["chat", "privacy"]
    service = authorizer(FakeProjects(item))
    assert refused(service)["reason"] == "suspended"
    rights = {"method": "POST", "resource": "/v1/privacy/requests", "content_length": 50}
    assert service.decide(f"Bearer {KEY}", **rights).outcome == OK


def test_slots_bound_concurrency_and_a_settled_one_is_free_again() -> None:
    # given two slots, both taken
    store, clock = FakeProjects(project(conc=2)), FixedClock()
    service = authorizer(store, clock)
    first = service.decide(f"Bearer {KEY}", **CHAT)
    service.decide(f"Bearer {KEY}", **CHAT)
    assert refused(service)["reason"] == "concurrency"
    # when one chat settles with 7 tokens used
    used = 7
    store.call(
        "UpdateItem", settle("T", PROJECT, first.slot, dict.fromkeys(first.token_windows, used - first.reserved))
    )
    # then its slot is free and just its tokens are debited
    service.decide(f"Bearer {KEY}", **CHAT)
    assert store.items["p#" + PROJECT][first.token_windows[0]] == 1_000_000 - used - 2 * estimate(400)


def test_a_settle_that_arrives_twice_counts_once() -> None:
    store = FakeProjects(project())
    verdict = authorizer(store).decide(f"Bearer {KEY}", **CHAT)
    update = settle("T", PROJECT, verdict.slot, dict.fromkeys(verdict.token_windows, -100))
    store.call("UpdateItem", update)
    before = dict(store.items["p#" + PROJECT])
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        store.call("UpdateItem", update)
    assert store.items["p#" + PROJECT] == before


def test_a_top_up_reserves_more_only_where_there_is_room() -> None:
    store = FakeProjects(project(tpm=estimate(400) + 100))
    verdict = authorizer(store).decide(f"Bearer {KEY}", **CHAT)
    store.call("UpdateItem", top_up("T", PROJECT, verdict.slot, dict.fromkeys(verdict.token_windows, 60)))
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        store.call("UpdateItem", top_up("T", PROJECT, verdict.slot, dict.fromkeys(verdict.token_windows, 60)))


def test_slots_of_killed_functions_heal_by_their_deadline() -> None:
    # given all slots taken by functions that were killed
    store, clock = FakeProjects(project(conc=2)), FixedClock()
    service = authorizer(store, clock)
    for _ in range(2):
        service.decide(f"Bearer {KEY}", **CHAT)
    # when their deadline has passed, then the next chat is admitted, with two calls more
    clock.advance(SLOT_SECONDS + 2)
    calls = len(store.calls)
    service.decide(f"Bearer {KEY}", **CHAT)
    assert len(store.calls) == calls + 3
    assert len(store.items["p#" + PROJECT]["inf"]) == 1


def test_an_oversize_body_goes_on_as_a_verdict() -> None:
    large = {**CHAT, "content_length": MAX_BODY_BYTES + 1}
    verdict = authorizer(FakeProjects(project())).decide(f"Bearer {KEY}", **large)
    assert (verdict.outcome, verdict.slot, verdict.reserved) == (REQUEST_TOO_LARGE, b"", 0)


@pytest.mark.parametrize(
    ("method", "resource"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/v1/privacy/requests")],
)
def test_a_missing_scope_takes_nothing_and_goes_on_as_a_verdict(method: str, resource: str) -> None:
    # given a key without the scope of the route, when it asks
    item = project()
    item["k_k1"]["s"] = ["history"]
    store = FakeProjects(item)
    before = dict(item)
    verdict = authorizer(store).decide(f"Bearer {KEY}", method=method, resource=resource, content_length=400)
    # then the function behind gets to say 403, and no counter or slot has moved
    assert (verdict.outcome, verdict.slot, verdict.reserved) == (INSUFFICIENT_SCOPE, b"", 0)
    assert (verdict.scopes, verdict.user_rpm, verdict.user_tpm) == ({"history"}, 0, 0)
    assert store.items["p#" + PROJECT] == before
    assert len(store.calls) == 1
    assert Verdict.from_context(verdict.to_context()) == verdict


def test_a_missing_scope_is_told_before_a_limit_and_after_the_key() -> None:
    # given a project that is used up, and a key of it without the scope
    item = project(rpd=1, d_270115=0, st="S")
    item["k_k1"]["s"] = ["history"]
    assert authorizer(FakeProjects(item)).decide(f"Bearer {KEY}", **CHAT).outcome == INSUFFICIENT_SCOPE
    # and one that has expired
    item["k_k1"]["e"] = 1
    with pytest.raises(Unauthorized):
        authorizer(FakeProjects(item)).decide(f"Bearer {KEY}", **CHAT)


def test_a_route_nobody_named_needs_a_scope_nobody_has() -> None:
    verdict = authorizer(FakeProjects(project())).decide(
        f"Bearer {KEY}", method="GET", resource="/v1/new", content_length=None
    )
    assert verdict.outcome == INSUFFICIENT_SCOPE


def test_expired_windows_are_removed_in_passing() -> None:
    store, clock = FakeProjects(project()), FixedClock()
    service = authorizer(store, clock)
    service.decide(f"Bearer {KEY}", **CHAT)
    clock.advance(600)
    service.decide(f"Bearer {KEY}", **CHAT)
    service.decide(f"Bearer {KEY}", **CHAT)
    item = store.items["p#" + PROJECT]
    assert len([name for name in item if name[:3] in ("r0_", "r1_", "t0_", "t1_")]) == 4


def test_a_store_that_is_down_lets_nobody_in() -> None:
    store = FakeProjects(project())
    store.down = True
    with pytest.raises(AwsUnavailable):
        authorizer(store).decide(f"Bearer {KEY}", **CHAT)
