"""The first task: the next epoch begins, unless the present one is young. Its role makes keys, and reads no table."""

from __future__ import annotations

from typing import NamedTuple

from chatapi.logs import log
from chatapi.vault.epochs import Epochs
from chatapi.warm import Warm
from epochs.running import Result, guarded, quiet_seconds

_YOUNG_SECONDS = 14 * 86400
"""Less than a month, whatever the quiet days are: each month has its epoch."""


class Ports(NamedTuple):
    """What the task works on. `young` seconds: a turn that starts again within goes on with the epoch it began."""

    epochs: Epochs
    young: float


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting

    kms, quiet = AwsClient("kms", region=region(), timeout=10.0, attempts=4), quiet_seconds()
    return Ports(Epochs(kms, setting("EPOCH_KEY"), SystemClock().now, quiet=quiet), min(2 * quiet, _YOUNG_SECONDS))


def run(ports: Ports) -> Result:
    """The turn that the other tasks are given."""
    epoch, made = ports.epochs.turn(ports.young)
    log("epoch_begun" if made else "epoch_resumed", function="epochs")
    return {"epoch": epoch, "number": 1, "segment": 0, "moved": 0, "left": 0}


def handler(event: dict[str, object], context: object) -> Result:
    """One task. The event says nothing that is needed. TaskFailed for every failure."""
    del event, context
    return guarded("begin", lambda: run(_composed()))
