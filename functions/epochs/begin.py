"""The first tasks: the next epoch is made and, when IAM has seen its name, begins; unless the present one is young. The
role makes keys, and reads no table.

`{"task": "make" | "point"}` → `pause`, the seconds to wait before what comes next, and of `point` the turn that the
other tasks are given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatapi.logs import log
from chatapi.vault.epochs import SEEN_SECONDS, Epochs
from chatapi.warm import Warm
from epochs.running import Result, guarded, quiet_seconds

_YOUNG_SECONDS = 14 * 86400
"""Less than a month, whatever the quiet days are: each month has its epoch."""


class Ports(NamedTuple):
    """What the tasks work on. `young` seconds: a turn that starts again within goes on with the epoch it began."""

    epochs: Epochs
    young: float
    pause: int


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting

    kms, quiet = AwsClient("kms", region=region(), timeout=10.0, attempts=4), quiet_seconds()
    epochs = Epochs(kms, setting("EPOCH_KEY"), SystemClock().now, quiet=quiet)
    return Ports(epochs, min(2 * quiet, _YOUNG_SECONDS), int(min(quiet, SEEN_SECONDS)))


def run(ports: Ports, task: str) -> Result:
    """One of the two. A young epoch is the one that a turn before has begun."""
    if ports.epochs.is_young(ports.young):
        log("epoch_resumed", function="epochs", stage=task)
    elif task == "make":
        ports.epochs.prepare()
    else:
        ports.epochs.begin()
        log("epoch_begun", function="epochs")
    turn = {"epoch": ports.epochs.current(), "number": 1, "segment": 0, "moved": 0, "left": 0}
    return {"pause": ports.pause} if task == "make" else {**turn, "pause": ports.pause}


def handler(event: dict[str, Any], context: object) -> Result:
    """One task. TaskFailed for every failure."""
    del context
    return guarded(str(event.get("task"))[:8], lambda: run(_composed(), str(event["task"])))
