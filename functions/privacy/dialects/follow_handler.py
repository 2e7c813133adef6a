"""Entry point of the follower: `{"project", "dialect", "external"}` → `{"done", "wait"}`."""

from __future__ import annotations

from typing import Any

from chatapi.logs import log_error
from chatapi.warm import Warm
from privacy.dialects.following import Ports, follow


class FollowingFailed(Exception):
    """What Step Functions gets to see of any failure: an execution's history is kept for 90 days."""

    def __init__(self) -> None:
        super().__init__("the turn failed; the log names the error's type and place")


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first turn, never at init."""
    from privacy.dialects.composition import compose_follower

    return compose_follower()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """One turn. FollowingFailed for every failure."""
    del context
    try:
        return follow(_composed(), event["project"], event["dialect"], event["external"])
    except Exception as error:  # noqa: BLE001 - an execution's history must not quote an error
        log_error("callbacks_failed", error, function="callbacks", project=event.get("project"))
        raise FollowingFailed from None
