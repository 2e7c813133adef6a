"""Entry point of the rights function: `{"task", "project", "request"}` → a small result without personal data."""

from __future__ import annotations

from typing import Any

from chatapi.warm import Warm
from privacy.exports.ports import Ports
from privacy.exports.tasks import TASKS
from privacy.tasks.ports import Result
from privacy.tasks.running import guarded, on_case


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    from privacy.exports.composition import compose

    return compose()


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context
    return guarded("rights", event, lambda: on_case(TASKS, _composed(), event))
