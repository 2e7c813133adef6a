"""What a legal hold keeps is erased when the hold ends, without anyone asking, and the case's own key with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest

from chatapi.certificates import verify
from chatapi.store.cases import Case
from chatapi.store.keys import hold_pk, open_pk
from chatapi.vault import State
from privacy.explanations import explained
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Interrupted, World

DAY = 86400


def held(*kinds: str, days: int = 10) -> tuple[World, Case]:
    """A finished erasure of Alice, of whom a hold keeps some kinds."""
    world = World()
    world.store(ALICE)
    world.store(ALICE, b"x" * 400_000)
    world.store(BOB)
    world.hold(ALICE, kinds, days=days)
    case = world.case()
    assert world.erase(case)[-1] == "Erased"
    return world, case


def release_of(world: World, case: Case) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(world.again(case).get("release_certificate"))
    assert verify(document, {"keys": [world.signer.jwk()]}) == []
    return document["payload"]


def test_hold_billing_only_chats_are_gone_and_it_is_kept_and_explained() -> None:
    world, case = held("day")
    assert [sk.split("#")[0] for _, sk in world.rows_of(ALICE)] == ["day"]
    told = explained(world.again(case))
    assert (world.again(case).status, told["reason"]) == ("on_hold", "legal_hold")
    assert told["until"] == case.created + 10 * DAY
    assert "Art. 17(3)" in told["explanation"]


@pytest.mark.parametrize("kinds", [("day",), ("completion",), ("completion", "day")])
def test_when_the_hold_has_ended_the_rest_is_erased_and_the_key_of_the_case_destroyed(kinds: tuple[str, ...]) -> None:
    # given a hold in force: a run before its end changes nothing
    world, case = held(*kinds)
    first = world.again(case).get("certificate")
    before = world.rows_of(ALICE)
    assert world.erase(case)[-1] == "Erased"
    assert (world.again(case).status, world.rows_of(ALICE)) == ("on_hold", before)
    # when it has ended and the clock starts the case again, twice even
    world.clock.advance(11 * DAY)
    for _ in range(2):
        assert world.erase(case)[-1] == "Erased"
    # then nothing is left of Alice, and all of Bob
    ended = world.again(case)
    assert ended.status == "completed"
    assert world.rows_of(ALICE) == []
    assert world.rows_of(BOB) != []
    key = world.wraps.get(PROJECT, "hold_" + case.id)
    assert key is None or key.state is State.ERASED
    # and it says so in a second certificate, which names the first; the first stays what it was
    payload = release_of(world, case)
    assert payload["supplements"] == hashlib.sha256(first).hexdigest()
    assert ended.get("certificate") == first
    assert "held" not in [outcome for outcome, _ in world.outcomes(case)["records"]]
    assert world.entries() == 2
    assert world.requests.query(open_pk(PROJECT, ALICE), "held#") == []


def test_a_hold_released_early_ends_at_once_and_one_that_was_added_keeps_on() -> None:
    world, case = held("completion")
    row = world.requests.rows[hold_pk(PROJECT, ALICE), "hold1"]
    row["expires"] = int(world.clock.now())
    world.hold(ALICE, ("completion",), days=20, name="hold2")
    world.erase(case)
    assert world.again(case).status == "on_hold"
    world.requests.rows[hold_pk(PROJECT, ALICE), "hold2"]["expires"] = int(world.clock.now())
    world.erase(case)
    assert world.again(case).status == "completed"


def test_one_of_two_holds_ends_and_what_it_alone_held_goes() -> None:
    world, case = World(), None
    world.store(ALICE)
    world.hold(ALICE, ("completion",), days=5, name="short")
    world.hold(ALICE, ("day",), days=10, name="long")
    case = world.case()
    world.erase(case)
    world.clock.advance(6 * DAY)
    world.erase(case)
    assert world.again(case).status == "on_hold"
    assert [sk.split("#")[0] for _, sk in world.rows_of(ALICE)] == ["day"]
    world.clock.advance(5 * DAY)
    world.erase(case)
    assert world.again(case).status == "completed"
    assert world.rows_of(ALICE) == []


def test_a_new_request_meanwhile_is_a_case_of_its_own() -> None:
    """Given a part kept under a hold, a person who came back is erased again at once, not told to wait."""
    world, _ = held("completion")
    again = world.cases.create(PROJECT, "dsr_" + "2" * 24, "erasure", ALICE, world.clock.now())
    assert again.id == "dsr_" + "2" * 24


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_release_may_stop_at_any_call(after: bool) -> None:
    world, case = held("completion", "day")
    world.clock.advance(11 * DAY)
    world.breaker.calls = 0
    world.erase(case)
    calls = world.breaker.calls
    for stop_at in range(1, calls + 1):
        world, case = held("completion", "day")
        world.clock.advance(11 * DAY)
        world.breaker.calls, world.breaker.stop_at, world.breaker.after = 0, stop_at, after
        with contextlib.suppress(Interrupted):
            world.task(case, "verify", "release", "late_residue_scan")
        issued = world.again(case).get("release_certificate")
        world.breaker.stop_at = None
        world.clock.advance(60)
        assert world.erase(case)[-1] == "Erased", stop_at
        ended = world.again(case)
        assert ended.status == "completed", stop_at
        assert world.rows_of(ALICE) == []
        assert world.entries() == 2, stop_at
        assert issued in (None, ended.get("release_certificate"))
        release_of(world, case)
