"""A right asked for twice is one case; a clock that stands, is extended, or a request that is denied says why."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.catalogue import Catalogued, read_policy
from chatapi.errors import Conflict
from chatapi.store.case_states import CANCEL, COMMIT, COMPLETE, FAIL, START
from chatapi.store.cases import Case, Cases, NotAllowed
from chatapi.store.items import Item, MemoryTable
from chatapi.store.keys import open_pk
from privacy.explanations import explained
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

DAY = 86400


def asked(world: World, number: int, subject: str = ALICE, right: str = "erasure", target: str = "") -> Case:
    return world.cases.create(PROJECT, f"dsr_{number:024d}", right, subject, world.clock.now(), target=target)


def test_an_open_case_is_found_again_and_an_ended_one_is_not() -> None:
    world = World()
    first = asked(world, 1)
    assert asked(world, 2).id == first.id
    assert asked(world, 3, BOB).id != first.id
    assert asked(world, 4, right="access").id != first.id
    assert asked(world, 5, target="x").id != first.id
    world.cases.cancel(first)
    assert asked(world, 6).id.endswith("6")
    assert asked(world, 7).id.endswith("6")


@pytest.mark.parametrize("acts", [[], [START], [START, COMMIT], [START, FAIL], [START, COMMIT, FAIL]])
def test_open_is_whatever_has_not_ended(acts: list[object]) -> None:
    world = World()
    case = asked(world, 1)
    for act in acts:
        case = world.cases.act(case, act)  # type: ignore[arg-type]
    assert asked(world, 2).id == case.id


@pytest.mark.parametrize("acts", [[CANCEL], [START, COMMIT, COMPLETE]])
def test_what_has_ended_is_asked_for_anew(acts: list[object]) -> None:
    world = World()
    case = asked(world, 1)
    for act in acts:
        case = world.cases.act(case, act)  # type: ignore[arg-type]
    assert asked(world, 2).id != case.id


def test_a_writer_killed_after_its_pointer_leaves_one_case_for_all() -> None:
    world = World()
    pointer = {
        "pk": open_pk(PROJECT, ALICE),
        "sk": "erasure",
        "kind": "open",
        "case": "dsr_" + "9" * 24,
        "ttl": 1 << 40,
    }
    world.requests.put({**pointer, "case": "dsr_" + "9" * 24})
    assert asked(world, 1).id == asked(world, 2).id == "dsr_" + "9" * 24


def test_of_many_at_once_all_get_the_same_case() -> None:
    class Locked(MemoryTable):
        """One call at a time, as DynamoDB serialises the writes to an item."""

        lock = threading.Lock()

        def put(self, item: Item, *, absent: bool = False, expect: Mapping[str, Any] | None = None) -> None:
            with self.lock:
                super().put(item, absent=absent, expect=expect)

    cases, found, gate = Cases(Catalogued(Locked(), "requests")), [], threading.Barrier(8)

    def ask(number: int) -> None:
        gate.wait()
        found.append(cases.create(PROJECT, f"dsr_{number:024d}", "erasure", ALICE, 1.0).id)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert [case.id for case in cases.list(PROJECT)[0]] == found[:1]


@given(st.lists(st.integers(1, 40 * DAY), min_size=1, max_size=4))
def test_the_clock_stands_while_identity_is_in_doubt_and_for_nothing_else(pauses: list[int]) -> None:
    world = World()
    case = asked(world, 1)
    due = case.get("due")
    for seconds in pauses:
        world.clock.advance(60)
        case = world.cases.pause(case, world.clock.now())
        assert explained(case)["reason"] == "identity"
        with pytest.raises(NotAllowed):
            world.cases.act(case, START)
        world.clock.advance(seconds)
        case = world.cases.resume(case, world.clock.now())
    assert case.get("due") == due + sum(pauses)
    assert case.status == "received"
    assert case.get("reason") is None


def test_a_term_is_extended_once_with_a_reason_in_its_first_month() -> None:
    world = World()
    case = asked(world, 1)
    due = case.get("due")
    with pytest.raises(ValueError, match="reason"):
        world.cases.extend(case, "busy", world.clock.now())
    case = world.cases.extend(case, "complexity", world.clock.now())
    assert 58 * DAY <= case.get("due") - due <= 62 * DAY
    told = explained(case)
    assert (told["reason"], told["until"]) == ("complexity", case.get("due"))
    assert "12(3)" in told["explanation"]
    with pytest.raises(Conflict) as raised:
        world.cases.extend(case, "number", world.clock.now())
    assert raised.value.code == "not_extendable"


def test_on_day_31_an_extension_is_refused() -> None:
    world = World()
    case = asked(world, 1)
    world.clock.advance(31 * DAY)
    with pytest.raises(Conflict):
        world.cases.extend(case, "complexity", world.clock.now())
    assert world.again(case).facts == case.facts


def test_a_pause_moves_the_extended_term_too() -> None:
    world = World()
    case = world.cases.extend(asked(world, 1), "complexity", world.clock.now())
    other = World()
    paused = other.cases.pause(asked(other, 1), other.clock.now())
    other.clock.advance(5 * DAY)
    paused = other.cases.extend(other.cases.resume(paused, other.clock.now()), "complexity", other.clock.now())
    assert paused.get("due") == case.get("due") + 5 * DAY


@pytest.mark.parametrize("reason", sorted(read_policy("rights")["denials"]))
def test_a_denial_has_its_reason_and_the_way_to_complain_and_is_final(reason: str) -> None:
    world = World()
    case = world.cases.deny(asked(world, 1), reason, world.clock.now())
    told = explained(case)
    assert (case.status, told["reason"]) == ("failed", reason)
    assert "Art. 77" in told["complain"]
    assert not case.open
    for act in (START, FAIL, CANCEL):
        with pytest.raises(NotAllowed):
            world.cases.act(case, act)
    assert world.erase(case)[-1] == "Failed"
    assert world.again(case).get("reason") == reason


def test_a_denial_without_a_known_reason_is_none() -> None:
    world = World()
    with pytest.raises(ValueError, match="reason"):
        world.cases.deny(asked(world, 1), "because", world.clock.now())


def test_a_request_that_is_denied_or_paused_in_the_middle_lets_the_writers_go_on() -> None:
    for act in ("deny", "pause"):
        world = World()
        world.store()
        case = world.case()
        world.task(case, "verify", "holds", "freeze")
        if act == "deny":
            world.cases.deny(world.again(case), "excessive", world.clock.now())
        else:
            world.cases.pause(world.again(case), world.clock.now())
        world.task(case, "mark_failed")
        world.store()  # the data subject is not frozen
        assert world.again(case).status == ("failed" if act == "deny" else "on_hold")


def test_a_grace_period_is_waited_out_once() -> None:
    world = World()
    case = world.cases.create(PROJECT, "dsr_" + "5" * 24, "erasure", ALICE, world.clock.now(), grace=3600)
    assert world.task(case, "verify") == {"held": False, "grace": 3600}
    world.clock.advance(3000)
    assert world.task(case, "verify")["grace"] == 600
    world.clock.advance(3000)
    assert world.task(case, "verify")["grace"] == 0
