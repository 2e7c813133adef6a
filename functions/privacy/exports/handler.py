"""Entry point of the rights function: `{"task", "project", "request"}` → a small result without personal data."""

from __future__ import annotations

from typing import Any

from privacy.exports.ports import Ports
from privacy.exports.tasks import TASKS
from privacy.tasks.ports import Result
from privacy.tasks.running import guarded

_ports: Ports | None = None


def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    global _ports  # noqa: PLW0603 - one instance per process is what a warm function is
    if _ports is None:
        from privacy.exports.composition import compose

        _ports = compose()
    return _ports


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context

    def work() -> Result:
        ports = _composed()
        return TASKS[event["task"]](ports, ports.cases.get(event["project"], event["request"]))

    return guarded("rights", event, work)
