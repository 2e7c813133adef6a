"""The store is slow, throttled or down: closed, or as narrowly open as the operator chose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authorizer.faults import MEMORY, PER_SECOND
from authorizer.service import Authorizer, Denied, Unauthorized
from chat.accounting import Account
from chatapi.aws.errors import AwsUnavailable
from chatapi.clock import FixedClock
from chatapi.keys import hash_key, mint_key
from chatapi.store.key_fields import NEVER
from chatapi.verdict import ADDRESS_NOT_ALLOWED, MAX_BODY_BYTES, OK, Verdict
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import CHAT, KEY, MINT, PEPPER, PROJECT, project

MODELS = {"method": "GET", "resource": "/v1/models", "content_length": None}


class House:
    """A project, and a function that was told to stay open and has let the key in once."""

    def __init__(self, *, chosen: bool = True, seen: bool = True, key: dict[str, Any] | None = None, **limits: Any):
        item = project(**limits)
        item["k_k1"] |= {"s": ["chat", "history", "privacy", "keys"], **(key or {})}
        self.store, self.clock = FakeProjects(item), FixedClock()
        self.function = Authorizer(
            self.store,
            table="T",
            mint=lambda: MINT,
            pepper=lambda: PEPPER,
            clock=self.clock,
            open_without_store=chosen,
        )
        if seen:
            self.ask()
        self.store.down = True

    def ask(self, key: str = KEY, source_ip: str | None = None, **request: Any) -> Verdict:
        return self.function.decide(f"Bearer {key}", **{**CHAT, **request}, source_ip=source_ip)


def test_closed_is_what_it_is_unless_somebody_chose_otherwise() -> None:
    with pytest.raises(AwsUnavailable):
        House(chosen=False).ask()


def test_a_key_that_was_just_seen_chats_unstored_and_reserves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(ret="history", o_analytics=True)
    verdict = house.ask()
    assert verdict.purposes == ()  # nothing optional, while nobody can be asked
    assert (verdict.outcome, verdict.retention, verdict.slot, verdict.reserved) == (OK, "none", b"", 0)
    assert Verdict.from_context(verdict.to_context()) == verdict
    # so the chat function asks nothing of the store that is down
    calls = len(house.store.calls)
    account = Account(house.store, "T", verdict)
    account.cover(100, 4000)
    account.settle(50)
    assert len(house.store.calls) == calls
    # and it is logged, for the metric
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["project"], line["count"]) == ("store_open", PROJECT, 1)
    assert KEY not in json.dumps(line)
    assert house.ask(**MODELS).retention == "none"


def test_what_is_to_be_redacted_is_so_without_the_store_as_well() -> None:
    assert House(red="email", key={"rd": "card"}).ask().redact == "email card"


def test_a_projects_guardrail_filters_without_the_store_as_well() -> None:
    assert House(guard="example").ask().guardrail == "example"


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET", "resource": "/v1/chat/completions"},
        {"method": "DELETE", "resource": "/v1/chat/completions/{id}"},
        {"method": "POST", "resource": "/v1/privacy/requests"},
        {"method": "POST", "resource": "/v1/keys"},
        {"content_length": MAX_BODY_BYTES + 1},
    ],
)
def test_every_other_route_is_closed(request_: dict[str, Any]) -> None:
    with pytest.raises(AwsUnavailable):
        House().ask(**request_)


@pytest.mark.parametrize(
    "house",
    [
        {"seen": False},
        {"key": {"l": {"rpm": 50}}},
        {"smo": 10**6},
        {"urpm": 5},
        {"utpm": 5000},
        {"key": {"e": 1_800_000_100}},
    ],
    ids=["never seen", "own limits", "spend", "users' requests", "users' tokens", "expired meanwhile"],
)
def test_what_cannot_be_read_or_counted_is_closed(house: dict[str, Any]) -> None:
    guarded = House(**house)
    guarded.clock.advance(150)
    with pytest.raises(AwsUnavailable):
        guarded.ask()


@pytest.mark.parametrize("change", [{"k_k1": None}, {"st": "S"}], ids=["revoked", "suspended"])
def test_what_the_store_has_refused_since_is_closed(change: dict[str, Any]) -> None:
    house = House()
    item = house.store.items["p#" + PROJECT]
    house.store.items["p#" + PROJECT] = {k: v for k, v in {**item, **change}.items() if v is not None}
    house.store.down = False
    with pytest.raises((Unauthorized, Denied)):
        house.ask()
    house.store.down = True
    with pytest.raises(AwsUnavailable):
        house.ask()


def test_a_keys_restrictions_hold_as_they_were_read() -> None:
    house = House(seen=False, key={"ip": ["203.0.113.0/24"], "m": ["a"]})
    house.store.down = False
    house.ask(source_ip="203.0.113.7")
    house.store.down = True
    assert house.ask(source_ip="203.0.113.7").models == ("a",)
    assert house.ask(source_ip="192.0.2.1").outcome == ADDRESS_NOT_ALLOWED


def test_it_is_a_few_a_second_for_all_keys_together() -> None:
    house = House()
    other = mint_key(MINT, PROJECT, "k2")
    house.store.items["p#" + PROJECT]["k_k2"] = {"h": hash_key(PEPPER, other), "e": NEVER, "s": ["chat"], "c": 1}
    house.store.down = False
    house.ask(other)
    house.store.down = True
    for _ in range(3):
        for number in range(PER_SECOND):
            house.ask(other if number % 2 else KEY)
        for key in (KEY, other):
            with pytest.raises(AwsUnavailable):
                house.ask(key)
        house.clock.advance(1)


@pytest.mark.parametrize("step", [MEMORY, MEMORY + 3600, -1])
def test_the_memory_ends_and_a_clock_set_back_ends_it_too(step: float) -> None:
    house = House()
    house.clock.advance(step)
    with pytest.raises(AwsUnavailable):
        house.ask()


def test_a_forged_key_is_refused_as_ever() -> None:
    house = House()
    with pytest.raises(Exception, match=r"^$"):
        house.ask(mint_key(b"another", PROJECT, "k1"))
