"""An erasure may be stopped at any call, before or after it took effect; running it again ends in the same place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from chatapi.store.cases import Case
from privacy.tasks.handler import run
from tests.unit.privacy.machine import ASL
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Interrupted, World

TASKS = [state["Parameters"]["Payload"]["task"] for state in ASL["States"].values() if state["Type"] == "Task"]
CHAIN = [task for task in TASKS if task not in ("unfreeze", "mark_failed")]


def prepared() -> tuple[World, Case]:
    """A subject with an alias, completions, day rows, an export and a held copy to make: every step has work."""
    world = World()
    world.store(ALICE)
    world.store(ALICE, b"x" * 400_000)
    world.store(BOB)
    world.days.alias(PROJECT, ALICE, BOB)
    world.hold(ALICE)
    world.exports.keys = {f"{PROJECT}/{ALICE}/export.zip"}
    return world, world.case()


def until_interrupted(world: World, case: Case) -> None:
    """The function and its workflow die together: no retry, nothing is marked as failed."""
    for task in CHAIN:
        run(world.ports, {"task": task, "project": case.project, "request": case.id})


def until_marked_failed(world: World, case: Case) -> None:
    """The workflow lives on and takes the branch of failure."""
    world.erase(case)


def retried(world: World, case: Case) -> None:
    """The workflow tries the task again."""
    world.erase(case, attempts=2)


@pytest.fixture(scope="module")
def plain() -> tuple[int, dict[str, list[tuple[str, int]]]]:
    """How many calls an undisturbed erasure makes, and what it answers."""
    world, case = prepared()
    world.breaker.calls = 0
    world.erase(case)
    return world.breaker.calls, world.outcomes(case)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("way", [until_interrupted, until_marked_failed, retried])
def test_every_call_may_be_the_last(
    plain: tuple[int, dict[str, list[tuple[str, int]]]], way: Callable[[World, Case], None], after: bool
) -> None:
    calls, outcomes = plain
    for stop_at in range(1, calls + 1):
        # given an erasure that was stopped at one of its calls
        world, case = prepared()
        world.breaker.calls, world.breaker.stop_at, world.breaker.after = 0, stop_at, after
        with contextlib.suppress(Interrupted):
            way(world, case)
        issued = world.again(case).get("certificate")
        # when it runs again, later
        world.clock.advance(60)
        assert world.erase(case)[-1] == "Erased", stop_at
        # then it is whole: one entry, the true counts, a certificate that holds and is never replaced
        final = world.again(case)
        assert (final.status, final.get("reason")) == ("on_hold", "legal_hold")
        assert world.outcomes(case) == outcomes, stop_at
        assert world.entries() == 1, stop_at
        world.certificate(case)
        assert issued in (None, final.get("certificate"))
        assert {sk.split("#")[0] for _, sk in world.rows_of(ALICE)} == {case.id}, "only what is held"
        assert world.rows_of(BOB) == []
        assert world.exports.keys == set()


@pytest.mark.parametrize("last", range(len(CHAIN)), ids=CHAIN)
def test_an_execution_may_end_after_any_task(last: int) -> None:
    world, case = prepared()
    world.task(case, *CHAIN[: last + 1])
    world.clock.advance(60)
    world.erase(case)
    first = world.again(case).get("certificate")
    world.erase(case)
    assert world.again(case).get("certificate") == first
    assert world.entries() == 1


@pytest.mark.parametrize("task", CHAIN)
def test_every_task_may_run_twice(task: str) -> None:
    world, case = prepared()
    for name in CHAIN:
        world.task(case, name, *([name] if name == task else []))
    assert world.again(case).status == "on_hold"
    assert world.outcomes(case)["records"] == [("deleted", 11), ("held", 3)]
    world.certificate(case)


def test_no_task_skips_ahead() -> None:
    """Given a case under way, certify and delete refuse until what they rest on is there."""
    world, case = prepared()
    world.task(case, *CHAIN[: CHAIN.index("commit") + 1])
    for task in ("certify", "delete"):
        with pytest.raises(Exception, match="not in a state"):
            world.task(case, task)
    assert world.again(case).status == "in_progress"
    assert world.again(case).get("certificate") is None
