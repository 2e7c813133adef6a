"""The shipped state machine: every task there, every failure marked, nothing but opaque ids on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from privacy.tasks.handler import TASKS
from tests.unit.privacy.machine import ASL

STATES: dict[str, dict[str, Any]] = ASL["States"]
WORK = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def test_it_calls_every_task_once() -> None:
    called = [state["Parameters"]["Payload"]["task"] for state in WORK.values()]
    assert sorted(called) == sorted(TASKS)


@pytest.mark.parametrize("name", WORK)
def test_a_task_gets_opaque_ids_retries_and_a_way_to_fail(name: str) -> None:
    state = WORK[name]
    assert state["Resource"] == "arn:aws:states:::lambda:invoke"
    assert state["Parameters"]["FunctionName"] == "${ErasureFunctionArn}"
    assert state["Parameters"]["Payload"].keys() == {"task", "project.$", "request.$"}
    (retry,) = state["Retry"]
    waits = [retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt for attempt in range(retry["MaxAttempts"])]
    assert 10 <= sum(waits) <= 20, "long enough for another case to end, short enough to be told"
    if name == "MarkFailed":
        assert (state["Next"], "Catch" in state) == ("Failed", False)
    else:
        (catch,) = state["Catch"]
        assert (catch["ErrorEquals"], catch["ResultPath"], catch["Next"]) == (["States.TaskFailed"], None, "MarkFailed")


def test_the_way_of_failure_never_ends_as_a_success() -> None:
    assert STATES["Failed"]["Type"] == "Fail"
    assert {name for name, state in STATES.items() if state["Type"] == "Succeed"} == {"Cancelled", "Erased"}
    leads_to_success = {state.get("Next") for name, state in STATES.items() if name in ("MarkFailed", "Failed")}
    assert not leads_to_success & {"Cancelled", "Erased"}


def test_nothing_is_destroyed_before_the_commit_and_nothing_certified_before_the_scan() -> None:
    order = list(STATES)
    assert order.index("Inventory") < order.index("Commit") < order.index("KeepHeld") < order.index("Destroy")
    assert order.index("Delete") < order.index("ResidueScan") < order.index("Certify") < order.index("LateResidueScan")
    assert all(STATES[one].get("Next", two) == two for one, two in pairwise(order[:5]))
