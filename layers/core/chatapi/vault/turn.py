"""The turn of an epoch in steps that end: what a state machine calls until nothing is left under an old epoch.

    pass 1   every item is moved to its project's KMS key, segment by segment of the Vault, some minutes a step
    pause    longer than a function can hold a wrap of before the alias moved
    pass 2…  the same again, until a whole pass has moved nothing: then nothing is left, or it does not move by itself
    …        the old epochs are disabled, and rest for seven days
    check    all of it is looked at once more, and nothing is written

Between two steps nothing is kept but counts, the epoch's ARN and a segment's number: no id of anybody, and no cursor,
which would be one. A step that ran out of time begins its segment anew, and passes over what it moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from chatapi.aws.calling import Caller
from chatapi.clock import Clock
from chatapi.vault.epochs import Overtaken
from chatapi.vault.ports import State
from chatapi.vault.rotation import Keys, Stuck, Target, Wraps, rewrap

PASSES = 5
"""After so many, somebody brings wraps under old epochs back, and has to be found."""
_PROJECTS = 10_000

MORE, AGAIN, CLEAN, STUCK = "more", "again", "clean", "stuck"
"""How it goes on: at once; with another pass, after a pause; nothing is left; somebody has to look."""


@dataclass(frozen=True)
class Turn:
    """How far a turn to `epoch`, an ARN, has come: pass and segment are under way; `moved` and `left` are counts of the
    pass: items moved, and items that are still under an old epoch, or that nobody can read."""

    epoch: str
    number: int = 1
    segment: int = 0
    moved: int = 0
    left: int = 0


class Step(NamedTuple):
    """How it goes on, with what, and how many items this step has moved."""

    state: str
    turn: Turn
    moved: int = 0


@dataclass(frozen=True)
class Work:
    """What a step works on. `current` gives the current epoch's ARN, `target` the KMS key of a project (`targets`);
    `more_time` says whether another page may begin, `tell` hears of each item that does not move."""

    wraps: Wraps
    keys: Keys
    current: Callable[[], str]
    target: Callable[[str], Target]
    clock: Clock
    sleep: Callable[[float], None]
    segments: int
    per_second: float
    more_time: Callable[[], bool] = lambda: True
    tell: Callable[[Stuck], None] = lambda stuck: None


def targets(own: Callable[[str], str | None], epoch: str) -> Callable[[str], Target]:
    """Which KMS key each project's wraps are to be under: its `own`, or the current epoch."""

    @lru_cache(_PROJECTS)
    def target(project: str) -> Target:
        brought = own(project)
        return Target(brought, tenant_key=True) if brought else Target(epoch)

    return target


def own_key(client: Caller, table: str) -> Callable[[str], str | None]:
    """The ARN of the KMS key that a project brought; of its item in `table` nothing else is read."""

    def read(project: str) -> str | None:
        key = {"pk": {"S": "p#" + project}}
        asked = {"TableName": table, "Key": key, "ProjectionExpression": "pk, kms", "ConsistentRead": True}
        found = client.call("GetItem", asked).get("Item", {}).get("kms")
        return str(found["S"]) if found else None

    return read


def move(work: Work, turn: Turn) -> Step:
    """One step of a pass. Overtaken where another epoch has begun since."""
    _of(work, turn)
    moved = left = 0
    for progress in rewrap(
        work.wraps,
        work.keys,
        work.target,
        clock=work.clock,
        sleep=work.sleep,
        per_second=work.per_second,
        segment=(turn.segment, work.segments),
    ):
        for stuck in progress.stuck:
            work.tell(stuck)
            left += not stuck.tenant_key and stuck.key_arn != turn.epoch
        moved = progress.outcomes["moved"]
        if not progress.done and not work.more_time():
            # A segment that takes a whole step to read would never end; what was not moved is counted next time.
            return Step(MORE if moved else STUCK, replace(turn, moved=turn.moved + moved), moved)
    done = replace(turn, segment=turn.segment + 1, moved=turn.moved + moved, left=turn.left + left)
    if done.segment < work.segments:
        return Step(MORE, done, moved)
    if not done.moved and done.number > 1:
        return Step(STUCK if done.left else CLEAN, done)
    if done.number == PASSES:
        return Step(STUCK, done, moved)
    return Step(AGAIN, Turn(done.epoch, done.number + 1), moved)


def check(work: Work, turn: Turn) -> Step:
    """One step of looking whether anything is under an old epoch; writes nothing. Overtaken, see `move`."""
    _of(work, turn)
    left, after = 0, None
    while True:
        items, unreadable, after = work.wraps.page(after, (turn.segment, work.segments))
        left += len(unreadable)
        left += sum(
            item.state is not State.ERASED and not item.tenant_key and item.key_arn != turn.epoch for item in items
        )
        if after is None:
            break
        if not work.more_time():
            return Step(STUCK, replace(turn, left=turn.left + left))
    done = replace(turn, segment=turn.segment + 1, left=turn.left + left)
    if done.segment < work.segments:
        return Step(MORE, done)
    return Step(STUCK if done.left else CLEAN, done)


def _of(work: Work, turn: Turn) -> None:
    if work.current() != turn.epoch:
        raise Overtaken
    if not 0 <= turn.segment < work.segments:
        raise ValueError("there is no such segment")
