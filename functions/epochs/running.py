"""How a task of the turn runs: a log line of counts; a failure that quotes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from chatapi.environment import setting
from chatapi.logs import log_error
from chatapi.vault.epochs import QUIET_SECONDS

Result = dict[str, Any]


class TaskFailed(Exception):
    """What Step Functions gets to see of any failure: an execution's history is kept for 90 days."""

    def __init__(self) -> None:
        super().__init__("the task failed; the log names the error's type and place")


def guarded(stage: str, work: Callable[[], Result]) -> Result:
    """The result of `work`; TaskFailed for every failure."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - an execution's history must not quote an error
        log_error("epoch_task_failed", error, function="epochs", stage=stage, code=getattr(error, "code", None))
        raise TaskFailed from None


def quiet_seconds() -> float:
    """How long a retired epoch rests before its deletion is scheduled. Only a local stack may shorten it."""
    asked = float(setting("QUIET_SECONDS"))
    return asked if os.environ.get("STAGE") == "local" else max(asked, QUIET_SECONDS)
