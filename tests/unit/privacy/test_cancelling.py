"""A request can be taken back until the commit, and not after; whichever came first holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from chatapi.errors import Conflict
from chatapi.vault import VaultItem
from privacy.tasks.handler import run
from tests.unit.privacy.machine import ASL
from tests.unit.privacy.world import PROJECT, World

STATES = list(ASL["States"])
BEFORE = STATES[: STATES.index("Commit") + 1]
ELSEWHERE = ("Unfreeze", "MarkFailed", "Failed", "Release", "TellAgain")
AFTER = [state for state in STATES[STATES.index("KeepHeld") :] if state not in ELSEWHERE]


@pytest.mark.parametrize("when", BEFORE)
def test_cancelled_before_the_commit_nothing_is_lost(when: str) -> None:
    world = World()
    stored = world.store()
    case = world.case()
    path = world.erase(case, between=lambda state: world.cases.cancel(world.again(case)) if state == when else None)
    assert path[-1] == "Cancelled"
    assert world.again(case).status == "cancelled"
    assert world.completions.load(PROJECT, stored).body == b"hello"
    world.store()  # the data subject is not frozen
    assert world.entries() == 0


@pytest.mark.parametrize("when", AFTER)
def test_after_the_commit_it_is_refused_and_goes_on(when: str) -> None:
    world = World()
    world.store()
    case = world.case()
    refused: list[str | None] = []

    def cancel(state: str) -> None:
        if state == when:
            with pytest.raises(Conflict) as raised:
                world.cases.cancel(world.again(case))
            refused.append(raised.value.code)

    assert world.erase(case, between=cancel)[-1] == "Erased"
    assert refused == ["request_not_cancellable"]
    assert world.again(case).status == "completed"


def test_a_cancelled_request_stays_cancelled() -> None:
    world = World()
    world.store()
    case = world.case()
    world.cases.cancel(case)
    assert world.erase(case)[-1] == "Cancelled"
    with pytest.raises(Conflict):
        world.cases.cancel(world.again(case))
    assert world.again(case).status == "cancelled"


def test_a_failure_before_the_commit_lets_the_writers_go_on() -> None:
    # given a hold that nobody can honour, found after another subject froze
    world = World()
    world.store()
    case = world.case()
    world.task(case, "verify", "holds", "freeze")
    world.hold(kinds=("locator",))
    # when the workflow runs again
    assert world.erase(case)[-1] == "Failed"
    # then
    assert world.again(case).status == "failed"
    assert world.again(case).get("stores") == []
    world.store()


def test_a_failure_after_the_commit_says_what_is_done_and_what_is_not() -> None:
    # given a disclosure to somebody whom the register does not know
    world = World()
    world.store()
    row = next(row for row in world.records.rows.values() if row["sk"].startswith("day#"))
    row["sk"] = "day#20270115#stranger"
    world.records.rows = {(r["pk"], r["sk"]): r for r in world.records.rows.values()}
    case = world.case()
    # when
    assert world.erase(case)[-1] == "Failed"
    # then
    assert world.again(case).status == "failed"
    outcomes = world.outcomes(case)
    assert outcomes["vault"] == [("shredded", 1)]
    assert outcomes["records"][0][0] == "failed"
    assert world.again(case).get("certificate") is None


def test_cancelled_in_the_middle_of_the_freeze_nothing_is_frozen() -> None:
    # given a cancellation that arrives while the freeze looks at the Vault
    world = World()
    world.store()
    case = world.case()
    world.task(case, "verify", "holds")

    class Wraps:
        def get(self, project: str, subject: str) -> VaultItem | None:
            world.cases.cancel(case)
            return world.wraps.get(project, subject)

    # when
    ports: Any = replace(world.ports, wraps=cast(Any, Wraps()))
    run(ports, {"task": "freeze", "project": case.project, "request": case.id})
    # then it stopped there: this fake could not even freeze
    world.store()
