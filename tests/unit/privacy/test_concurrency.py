"""Several executions at once: two requests of one data subject, and one request that was started twice."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.store.cases import Case
from chatapi.vault import VaultItem
from privacy.tasks.handler import run
from privacy.tasks.ports import SubjectBusy
from tests.support.campaign import examples
from tests.unit.privacy.machine import walk
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

ONE, TWO = "dsr_" + "1" * 24, "dsr_" + "2" * 24


def execution(world: World, case: Case) -> Iterator[str]:
    return walk(lambda payload: run(world.ports, payload), case.project, case.id)


def interleave(executions: list[Iterator[str]], seed: int) -> list[str]:
    """Run them state by state in a random order; the last state of each."""
    choose, last, open_ = random.Random(seed), ["" for _ in executions], list(range(len(executions)))
    while open_:
        index = choose.choice(open_)
        state = next(executions[index], None)
        if state is None:
            open_.remove(index)
        else:
            last[index] = state
    return last


def test_the_second_of_two_requests_waits_for_the_first() -> None:
    world = World()
    world.store()
    first, second = world.case(name=ONE), world.case(name=TWO)
    world.task(first, "verify", "holds", "freeze")
    world.task(second, "verify", "holds")
    with pytest.raises(SubjectBusy):
        world.task(second, "freeze")
    world.erase(first)
    world.erase(second)
    assert world.outcomes(first)["vault"] == [("shredded", 1)]
    assert world.outcomes(second)["vault"] == [("nothing_found", 0)]


def test_subjects_freeze_in_one_order_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    # given two names of one person, each an alias of the other
    world = World()
    for subject, other in ((ALICE, BOB), (BOB, ALICE)):
        world.store(subject)
        world.days.alias(PROJECT, subject, other)
    frozen: list[str] = []
    freeze = world.wraps.freeze

    def watched(project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        frozen.append(subject)
        return freeze(project, subject, generation, case_id)

    monkeypatch.setattr(world.wraps, "freeze", watched)
    # when a request comes under each of them
    for subject, name in ((BOB, ONE), (ALICE, TWO)):
        case = world.case(subject, name)
        world.task(case, "verify", "holds", "freeze", "mark_failed")
    # then neither can hold what the other one waits for
    assert frozen == [ALICE, BOB, ALICE, BOB]


@settings(max_examples=examples(150))
@given(st.integers(0, 2**32))
def test_two_requests_of_one_subject_in_any_order(seed: int) -> None:
    # given two requests, one through an alias
    world = World()
    world.store(ALICE)
    world.store(BOB)
    world.days.alias(PROJECT, ALICE, BOB)
    cases = [world.case(ALICE, ONE), world.case(BOB, TWO)]
    # when both run at once, and what failed for the other's sake runs again
    ends = interleave([execution(world, case) for case in cases], seed)
    for case, end in zip(cases, ends, strict=True):
        assert end in ("Erased", "Failed")
        if end == "Failed":
            assert world.erase(case)[-1] == "Erased"
    # then both are complete, each key was destroyed once, and nothing is left
    for case in cases:
        assert world.again(case).status == "completed"
        world.certificate(case)
    assert world.rows_of(ALICE) == world.rows_of(BOB) == []
    assert sum(count for case in cases for _, count in world.outcomes(case)["vault"]) == 2
    assert world.entries() == 2


@settings(max_examples=examples(150))
@given(st.integers(0, 2**32))
def test_one_request_started_twice(seed: int) -> None:
    world = World()
    world.store()
    world.store(ALICE, b"x" * 400_000)
    world.hold()
    case = world.case()
    interleave([execution(world, case), execution(world, case)], seed)
    world.erase(case)  # one of them may have marked it as failed
    assert world.again(case).status == "on_hold"
    assert world.entries() == 1
    world.certificate(case)
    assert world.outcomes(case)["records"][-1] == ("held", 3)
