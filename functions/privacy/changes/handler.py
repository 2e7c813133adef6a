"""Entry point of the changes function: a task of the workflow, or something handed in at the desk by the API."""

from __future__ import annotations

from typing import Any

from chatapi.errors import ApiError
from chatapi.logs import log, log_error
from chatapi.warm import Warm
from privacy.changes.desk import DESK
from privacy.changes.ports import Ports
from privacy.changes.tasks import TASKS
from privacy.tasks.ports import Result
from privacy.tasks.running import TaskFailed, guarded, on_case


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    from privacy.changes.composition import compose

    return compose()


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context
    if event["task"] in DESK:
        return _desk(event)
    return guarded("changes", event, lambda: on_case(TASKS, _composed(), event))


def _desk(event: dict[str, Any]) -> Result:
    """What the desk says; its refusals have fixed texts and go back as they are."""
    ids = {"project": event["project"], "stage": event["task"]}
    try:
        told = DESK[event["task"]](_composed(), event)
    except ApiError as error:
        log_error("changes_refused", error, function="changes", **ids)
        return {"refused": {"status": error.status, "code": error.code, "message": error.message, "param": error.param}}
    except Exception as error:  # noqa: BLE001 - an error's text could quote what was handed in
        log_error("changes_desk_failed", error, function="changes", **ids)
    else:
        log("changes_desk", function="changes", outcome="ok", **ids)
        return told
    raise TaskFailed
