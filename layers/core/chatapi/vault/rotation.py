"""New keys for old: a further version of a subject's key, and moving wraps to another KMS key ("epoch").

    rotate   one subject: a new keyver for new messages; the older ones stay for what was sealed under them
    rewrap   all items: each under the KMS key that its project is to have; the subject keys themselves stay

Both replace an item's wraps in one conditional write, all of them under one ARN. A killed job loses nothing: an item is
either as it was or moved, and a run that starts again passes over what has been moved. An erasure wins every race: its
write changes the revision, and an erased item has nothing to move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chatapi.clock import Clock
from chatapi.vault import lifecycle
from chatapi.vault.errors import Conflict, InvalidCiphertext, KeyUnavailable
from chatapi.vault.ports import KeyService, Rewrapper, State, VaultItem, WrapPages, WrapStore
from chatapi.vault.subjects import key_context

_RACES = 4


class Keys(KeyService, Rewrapper, Protocol):
    """A key service that can also rewrap."""


class Wraps(WrapStore, WrapPages, Protocol):
    """A store that can also be walked over."""


@dataclass(frozen=True)
class Target:
    """The KMS key that a project's subject keys are to be wrapped under."""

    key_arn: str
    tenant_key: bool = False


def rotate(wraps: WrapStore, keys: Keys, project: str, subject: str, target: Target) -> int:
    """Give the subject's open generation a new version of its key; the number of that version.

    Conflict where there is no active generation. Functions that hold a handle use the older version to its end; what is
    sealed under any version goes on opening, and an erasure destroys all of them.
    """
    for _ in range(_RACES):
        item = wraps.get(project, subject)
        if item is None or item.state is not State.ACTIVE:
            raise Conflict
        keyver = max(item.wraps) + 1
        _, wrapped, arn = keys.generate(key_context(project, subject, item.generation), target.key_arn)
        moved = {**_moved(keys, item, arn), keyver: wrapped}
        try:
            wraps.rekey(item, lifecycle.rekeyed(item, moved, arn, keyver=keyver, tenant_key=target.tenant_key))
        except Conflict:
            continue
        return keyver
    raise Conflict


def _moved(keys: Keys, item: VaultItem, arn: str) -> dict[int, bytes]:
    if arn == item.key_arn:
        return dict(item.wraps)
    context = key_context(item.project, item.subject, item.generation)
    return {keyver: keys.rewrap(wrapped, context, item.key_arn, arn) for keyver, wrapped in item.wraps.items()}


class Stuck(NamedTuple):
    """An item that could not be moved: opaque ids, and what is the matter (docs/vault.md, "A key that does not move").

    `unanswered`: its KMS key refuses or does not answer. `damaged`: the wrap is not what its key made for this subject.
    `unreadable`: not an item of the Vault's making, whose generation nobody knows: 0. `contended`: somebody else wrote
    it each time. `key_arn` is the KMS key that it is under ("" where unreadable), `tenant_key` whether a tenant brought
    that one.
    """

    project: str
    subject: str
    generation: int
    why: str
    key_arn: str = ""
    tenant_key: bool = False


FAILURES = ("contended", "damaged", "unanswered", "unreadable")
"""The outcomes that are not good."""


@dataclass
class Progress:
    """How far a job has come. `outcomes`: moved, current (nothing to do), erased, and `FAILURES`. `stuck` are those of
    the page that was done last. `cursor` resumes behind the last page that is wholly done."""

    seen: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    stuck: list[Stuck] = field(default_factory=list)
    cursor: str | None = None
    done: bool = False

    def add(self, outcome: str, item: VaultItem) -> None:
        """Count an item; one that is stuck is named."""
        self.count(outcome)
        if outcome in FAILURES:
            stuck = Stuck(item.project, item.subject, item.generation, outcome, item.key_arn, item.tenant_key)
            self.stuck.append(stuck)

    def count(self, outcome: str) -> None:
        """Count an item that is not named."""
        self.seen += 1
        self.outcomes[outcome] += 1


def rewrap(
    wraps: Wraps,
    keys: Keys,
    target: Callable[[str], Target],
    *,
    clock: Clock,
    sleep: Callable[[float], None],
    per_second: float = 100,
    after: str | None = None,
    segment: tuple[int, int] = (0, 1),
    dry_run: bool = False,
) -> Iterator[Progress]:
    """Move every item to the key that `target` names for its project; progress after each page.

    At most `per_second` items are moved (KMS and its quota are shared with the chats). An item that fails, since its
    key does not answer for instance, is counted, named (`Progress.stuck`) and left as it is; the others are moved. A
    dry run only counts, so it sees no damage that shows when a wrap is opened. `segment`: see `WrapPages`.
    """
    progress = Progress(cursor=after)
    started, moved = clock.monotonic(), 0
    while not progress.done:
        items, unreadable, cursor = wraps.page(progress.cursor, segment)
        progress.stuck = [Stuck(project, subject, 0, "unreadable") for project, subject in unreadable]
        for _ in unreadable:
            progress.count("unreadable")
        for item in items:
            outcome = _outcome(wraps, keys, item, target(item.project), dry_run=dry_run)
            progress.add(outcome, item)
            moved += outcome == "moved"
            if outcome == "moved" and not dry_run:
                sleep(max(0.0, moved / per_second - (clock.monotonic() - started)))
        progress.cursor, progress.done = cursor, cursor is None
        yield progress


def _outcome(wraps: WrapStore, keys: Keys, item: VaultItem | None, target: Target, *, dry_run: bool) -> str:
    for _ in range(_RACES):
        if item is None or item.state is State.ERASED:
            return "erased"
        if (item.key_arn, item.tenant_key) == (target.key_arn, target.tenant_key):
            return "current"
        if dry_run:
            return "moved"
        try:
            moved = _moved(keys, item, target.key_arn)
            wraps.rekey(item, lifecycle.rekeyed(item, moved, target.key_arn, tenant_key=target.tenant_key))
        except Conflict:
            item = wraps.get(item.project, item.subject)
            continue
        except (InvalidCiphertext, KeyUnavailable) as error:
            return "damaged" if isinstance(error, InvalidCiphertext) else "unanswered"
        return "moved"
    return "contended"


def census(wraps: WrapPages) -> Counter[tuple[str, str, bool]]:
    """How many items there are by (state, ARN of the wrapping key, brought by the tenant). One that is not of the
    Vault's making counts as `unreadable`, under the key "": it could be any."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    after: str | None = None
    while True:
        items, unreadable, after = wraps.page(after)
        counts.update((item.state.value, item.key_arn, item.tenant_key) for item in items)
        counts.update(("unreadable", "", False) for _ in unreadable)
        if after is None:
            return counts
