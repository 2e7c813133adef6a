"""Entry point of what follows a choice: `{"task", "project", "subject", "purpose", "revision", "request"}`, opaque ids
and fixed words, → a small result."""

from __future__ import annotations

from typing import Any

from chatapi.warm import Warm
from privacy.choosing.tasks import Ports, run
from privacy.tasks.ports import Result
from privacy.tasks.running import guarded

_NAMED = ("task", "project", "subject", "purpose", "revision")


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first request, never at init."""
    from privacy.choosing.composition import compose

    return compose()


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure; only opaque ids are logged."""
    del context
    return guarded("consent", event, lambda: run(_composed(), *(event[name] for name in _NAMED)))
