"""The last tasks: old epochs are disabled and, after their quiet days, scheduled for deletion. The role reads no table:
that nothing is under them is what the state machine has found before, and looks for once more in between.

`{"task": "disable" | "end", "epoch": ARN of the current one}` → `{"count", "quiet": seconds to wait in between}`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatapi.logs import log
from chatapi.vault.epochs import Epochs
from chatapi.warm import Warm
from epochs.running import Result, guarded, quiet_seconds


class Ports(NamedTuple):
    """What the tasks work on."""

    epochs: Epochs
    quiet: float


class NotYet(Exception):
    """An epoch is not through its quiet days: the machine asks again."""


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting

    kms, quiet = AwsClient("kms", region=region(), timeout=10.0, attempts=4), quiet_seconds()
    return Ports(Epochs(kms, setting("EPOCH_KEY"), SystemClock().now, quiet=quiet), quiet)


def run(ports: Ports, event: dict[str, Any]) -> Result:
    """One of the two."""
    if event["task"] == "disable":
        count = ports.epochs.disable_old(event["epoch"])
    else:
        count, waiting = ports.epochs.end_old(event["epoch"])
        if waiting:
            raise NotYet
    log("epochs_disabled" if event["task"] == "disable" else "epochs_ended", function="epochs", count=count)
    return {"count": count, "quiet": int(ports.quiet) + 1}


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure."""
    del context
    return guarded(str(event.get("task"))[:8], lambda: run(_composed(), event))
