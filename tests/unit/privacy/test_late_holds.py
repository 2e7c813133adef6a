"""A legal hold that is added while an erasure is under way: honoured up to the commit, said to be too late after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatapi.store.cases import Case
from chatapi.store.holds import announce
from privacy.tasks.ports import NotReady
from tests.unit.privacy.machine import ASL
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

STATES = [name for name, state in ASL["States"].items() if state["Type"] == "Task"]
BEFORE = STATES[: STATES.index("Commit") + 1]
AFTER = ["KeepHeld", "Destroy", "Delete", "Recipients", "ResidueScan", "Certify"]


def begun(world: World, subject: str = ALICE) -> Case:
    """The case that a person's request makes."""
    return world.cases.create(PROJECT, "dsr_" + "1" * 24, "erasure", subject, world.clock.now())


def told(world: World, subject: str = ALICE) -> list[str]:
    """A hold is added as `chatapi holds add` does it."""
    world.hold(subject, ("completion", "day"))
    return announce(world.requests, world.records, PROJECT, subject, "hold1")


def in_between(state: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Does it once, before a state."""
    left = [state]

    def between(name: str) -> None:
        if left == [name]:
            left.clear()
            act()

    return between


def held_before(state: str) -> tuple[World, Case, list[list[str]]]:
    """An erasure before one of whose states a hold is added, and what its officer is told."""
    world = World()
    world.store()
    case, late = begun(world), list[list[str]]()
    world.erase(case, between=in_between(state, lambda: late.append(told(world))))
    return world, case, late


@pytest.mark.parametrize("state", BEFORE)
def test_a_hold_is_honoured_up_to_the_commit(state: str) -> None:
    # given an erasure under way
    # when a hold is added before one of its states
    world, case, late = held_before(state)
    # then what it names is kept, and counted as kept
    assert late == [[]]
    assert world.again(case).status == "on_hold"
    assert world.outcomes(case)["records"] == [("deleted", 2), ("held", 2)]
    assert [hold["kinds"] for hold in world.certificate(case)["payload"]["holds"]] == [["completion", "day"]]


@pytest.mark.parametrize("state", AFTER)
def test_after_the_commit_it_comes_too_late_and_is_told_so(state: str) -> None:
    world, case, late = held_before(state)
    assert late == [[case.id]]
    assert world.again(case).status == "completed"
    assert world.rows_of(ALICE) == []
    assert world.certificate(case)["payload"]["holds"] == []


def test_one_that_is_added_while_the_commit_looks_makes_it_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a commit that has read the case, and a hold that is written before it goes through
    world = World()
    world.store()
    case, commit = begun(world), world.ports.cases.commit
    world.task(case, "verify", "holds", "freeze", "inventory")

    def race(read: Case) -> Case:
        monkeypatch.undo()
        assert told(world) == []
        return commit(read)

    monkeypatch.setattr(world.ports.cases, "commit", race)
    # then it does not go through, and the next attempt has the hold
    with pytest.raises(NotReady):
        world.task(case, "commit")
    assert world.again(case).stage == "reversible"
    world.task(case, "commit")
    assert [hold["hold"] for hold in world.again(case).get("holds")] == ["hold1"]


def test_an_erasure_through_an_alias_is_told_too() -> None:
    world = World()
    world.store(ALICE)
    world.store(BOB)
    world.days.alias(PROJECT, ALICE, BOB)
    case = begun(world, ALICE)
    world.task(case, "verify", "holds", "freeze", "inventory", "commit")
    assert told(world, BOB) == [case.id]


def test_nobody_is_told_where_nothing_is_under_way() -> None:
    world = World()
    world.store()
    assert told(world) == []
    case = begun(world)
    world.erase(case)
    assert announce(world.requests, world.records, PROJECT, ALICE, "hold1") == []


def test_a_pointer_to_a_case_that_is_not_written_yet_is_passed_over() -> None:
    world = World()
    case = begun(world)
    del world.requests.rows[f"r#{PROJECT}", case.id]
    assert told(world) == []
