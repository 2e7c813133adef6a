"""Entry point of the workflow's tasks: `{"task", "project", "request"}` → a small result without personal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.logs import log, log_error
from chatapi.store.cases import Case
from privacy.tasks import begin, erase
from privacy.tasks.certify import certify
from privacy.tasks.ports import Ports, Result
from privacy.tasks.release import release

TASKS: Mapping[str, Callable[[Ports, Case], Result]] = {
    "verify": begin.verify,
    "holds": begin.holds,
    "freeze": begin.freeze,
    "inventory": begin.inventory,
    "commit": begin.commit,
    "unfreeze": begin.unfreeze,
    "mark_failed": begin.mark_failed,
    "keep_held": erase.keep_held,
    "destroy": erase.destroy,
    "delete": erase.delete,
    "recipients": erase.recipients,
    "residue_scan": erase.residue_scan,
    "certify": certify,
    "late_residue_scan": erase.late_residue_scan,
    "release": release,
}


class TaskFailed(Exception):
    """What Step Functions gets to see of any failure: an execution's history is kept for 90 days."""

    def __init__(self) -> None:
        super().__init__("the task failed; the log names the error's type and place")


_ports: Ports | None = None


def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    global _ports  # noqa: PLW0603 - one instance per process is what a warm function is
    if _ports is None:
        from privacy.tasks.composition import compose

        _ports = compose()
    return _ports


def run(ports: Ports, event: Mapping[str, Any]) -> Result:
    """Do one task on one case."""
    return TASKS[event["task"]](ports, ports.cases.get(event["project"], event["request"]))


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context
    ids = {"case": event["request"], "project": event["project"], "stage": event["task"]}
    try:
        result = run(_composed(), event)
    except Exception as error:  # noqa: BLE001 - an execution's history must not quote an error
        log_error("erasure_task_failed", error, function="erasure", **ids)
        raise TaskFailed from None
    log("erasure_task", function="erasure", outcome="ok", **ids)
    return result
