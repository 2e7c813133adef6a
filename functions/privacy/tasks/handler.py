"""Entry point of the workflow's tasks: `{"task", "project", "request"}` → a small result without personal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.store.cases import Case
from chatapi.warm import Warm
from privacy.tasks import begin, erase
from privacy.tasks.certify import certify
from privacy.tasks.ports import Ports, Result
from privacy.tasks.release import release
from privacy.tasks.running import TaskFailed, guarded, on_case
from privacy.tasks.tell import tell

__all__ = ["TASKS", "TaskFailed", "handler", "run"]

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
    "tell": tell,
    "residue_scan": erase.residue_scan,
    "certify": certify,
    "late_residue_scan": erase.late_residue_scan,
    "release": release,
}


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    from privacy.tasks.composition import compose

    return compose()


def run(ports: Ports, event: Mapping[str, Any]) -> Result:
    """Do one task on one case."""
    return on_case(TASKS, ports, event)


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context
    return guarded("erasure", event, lambda: run(_composed(), event))
