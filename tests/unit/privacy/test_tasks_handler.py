"""The tasks' entry point: what it says of a failure, and what it logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

import privacy.tasks.handler
from privacy.tasks.handler import TaskFailed, handler
from tests.unit.privacy.world import PROJECT, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(privacy.tasks.handler._composed, "made", world.ports)
    return world


def event(task: str, request: str) -> dict[str, Any]:
    return {"task": task, "project": PROJECT, "request": request}


def test_a_task_logs_opaque_ids(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    case = world.case()
    assert handler(event("verify", case.id), None) == {"held": False, "grace": 0}
    line = json.loads(capsys.readouterr().out)
    assert all(isinstance(line.pop(name), int) for name in ("ms", "calls", "peak_mb"))
    assert line == {
        "event": "erasure_task",
        "function": "erasure",
        "outcome": "ok",
        "case": case.id,
        "project": PROJECT,
        "stage": "verify",
    }


@pytest.mark.parametrize(("task", "error"), [("nonsense", "KeyError"), ("verify", "NotFound"), ("freeze", "NotFound")])
def test_a_failure_shows_its_type_in_the_log_and_nothing_in_the_history(
    world: World, capsys: pytest.CaptureFixture[str], task: str, error: str
) -> None:
    with pytest.raises(TaskFailed) as raised:
        handler(event(task, "dsr_none"), None)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["error"]) == ("erasure_task_failed", error)


def test_a_case_on_hold_or_of_another_right_is_not_worked_on(world: World) -> None:
    held, other = world.case(name="dsr_" + "3" * 24), world.case(name="dsr_" + "4" * 24)
    world.requests.rows[f"r#{PROJECT}", held.id]["status"] = "on_hold"
    world.requests.rows[f"r#{PROJECT}", other.id]["type"] = "access"
    for case in (held, other):
        with pytest.raises(TaskFailed):
            handler(event("verify", case.id), None)
