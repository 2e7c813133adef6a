"""How a task of any workflow runs: a log line of opaque ids and of what it took; a failure that quotes nothing."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from chatapi.aws.client import AwsClient
from chatapi.logs import log, log_error
from chatapi.store.cases import Case
from privacy.tasks.ports import Result, Work


class TaskFailed(Exception):
    """What Step Functions gets to see of any failure: an execution's history is kept for 90 days."""

    def __init__(self) -> None:
        super().__init__("the task failed; the log names the error's type and place")


P = TypeVar("P", bound=Work)


def on_case(tasks: Mapping[str, Callable[[P, Case], Result]], ports: P, event: Mapping[str, Any]) -> Result:
    """Do one task of a workflow on one case, by their names."""
    return tasks[event["task"]](ports, ports.cases.get(event["project"], event["request"]))


def guarded(function: str, event: Mapping[str, Any], work: Callable[[], Result]) -> Result:
    """The result of `work`, one task of `event` (task, project, request); TaskFailed for every failure. The line says
    how long it took, how many calls of the lean clients it made, and how large the process has ever been."""
    ids = {"case": event["request"], "project": event["project"], "stage": event["task"]}
    begun, calls = time.monotonic(), AwsClient.made
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - an execution's history must not quote an error
        log_error(f"{function}_task_failed", error, function=function, **ids)
        raise TaskFailed from None
    took = {"ms": int((time.monotonic() - begun) * 1000), "calls": AwsClient.made - calls, "peak_mb": _peak_mb()}
    log(f"{function}_task", function=function, outcome="ok", **ids, **took)
    return result


def _peak_mb() -> int:
    """The largest resident size that this process has had. Linux counts it anew for each program, while getrusage would
    tell that of the process which started this one; macOS has nothing else, and tells it in bytes."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) >> 10
