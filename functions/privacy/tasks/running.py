"""How a task of any workflow runs: one log line of opaque ids, and a failure that quotes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.logs import log, log_error
from privacy.tasks.ports import Result


class TaskFailed(Exception):
    """What Step Functions gets to see of any failure: an execution's history is kept for 90 days."""

    def __init__(self) -> None:
        super().__init__("the task failed; the log names the error's type and place")


def guarded(function: str, event: Mapping[str, Any], work: Callable[[], Result]) -> Result:
    """The result of `work`, one task of `event` (task, project, request); TaskFailed for every failure."""
    ids = {"case": event["request"], "project": event["project"], "stage": event["task"]}
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - an execution's history must not quote an error
        log_error(f"{function}_task_failed", error, function=function, **ids)
        raise TaskFailed from None
    log(f"{function}_task", function=function, outcome="ok", **ids)
    return result
