"""The second task, and the last look: wraps are moved to the current epoch, a segment of the Vault at a time.

`{"task": "move" | "check", "turn": {"epoch", "number", "segment", "moved", "left"}}` → the turn and how it goes on:
`state`, and `pause`, the seconds before another pass. A wrap that does not move is named in the log, by its pseudonym.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from chatapi.logs import log
from chatapi.vault.epochs import SEEN_SECONDS, Epochs
from chatapi.vault.rotation import Stuck
from chatapi.vault.turn import STUCK, Turn, Work, check, move, own_key, targets
from chatapi.warm import Warm
from epochs.running import Result, guarded

_RESERVE_MS = 60_000
_NAMED = 100
"""How many wraps that do not move are named a step; with a KMS key gone it may be all."""

_TASKS = {"move": move, "check": check}


class Ports(NamedTuple):
    """What the task works on: `work` for an epoch, made anew for each step, and the pause between two passes."""

    work: Callable[[str], Work]
    pause: int


@Warm
def _composed() -> Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    import time

    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting
    from chatapi.vault.dynamo import DynamoWraps
    from chatapi.vault.kms import KmsKeys

    here, clock, alias = region(), SystemClock(), setting("EPOCH_KEY")
    dynamodb = AwsClient("dynamodb", region=here, timeout=10.0, attempts=4)
    kms = AwsClient("kms", region=here, timeout=10.0, attempts=4)
    wraps, projects = DynamoWraps(dynamodb, setting("VAULT_TABLE")), own_key(dynamodb, setting("PROJECTS_TABLE"))
    late = int(setting("LATE_WRITER_SECONDS"))

    def work(epoch: str) -> Work:
        return Work(
            wraps,
            KmsKeys(kms, alias),
            Epochs(kms, alias, clock.now).current,
            targets(projects, epoch),  # looked up anew: a project may have brought a key since
            clock,
            time.sleep,
            int(setting("EPOCH_SEGMENTS")),
            float(setting("REWRAP_PER_SECOND")),
        )

    return Ports(work, late + min(late, SEEN_SECONDS))


def run(ports: Ports, event: dict[str, Any], more_time: Callable[[], bool]) -> Result:
    """One step."""
    begun, named = Turn(**event["turn"]), 0

    def tell(stuck: Stuck) -> None:
        nonlocal named
        named += 1
        if named <= _NAMED:
            log(
                "wrap_stuck",
                function="epochs",
                level="error",
                outcome=stuck.why,
                project=stuck.project,
                subject=stuck.subject,
                generation=stuck.generation,
            )

    work = replace(ports.work(begun.epoch), more_time=more_time, tell=tell)
    state, turn, moved = _TASKS[event["task"]](work, begun)
    if event["task"] == "move":
        log("wraps_moved", function="epochs", count=moved, outcome=state, stage=f"pass-{begun.number}")
    if state == STUCK:
        log("epoch_stuck", function="epochs", level="error", count=turn.left, stage=event["task"])
    return {**asdict(turn), "state": state, "pause": ports.pause}


def handler(event: dict[str, Any], context: Any) -> Result:
    """One task. TaskFailed for every failure."""
    return guarded(
        "move", lambda: run(_composed(), event, lambda: context.get_remaining_time_in_millis() > _RESERVE_MS)
    )
