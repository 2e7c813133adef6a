"""What the tasks work on, and the ways in which they refuse. Every text is fixed; the ids are in the log line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from chatapi.certificates import Signer
from chatapi.clock import Clock
from chatapi.ledger import Ledger
from chatapi.store.cases import Cases
from chatapi.store.items import Table
from chatapi.vault import Vault, WrapStore
from privacy.webhooks import Teller


class Objects(Protocol):
    """A bucket."""

    def list(self, prefix: str) -> list[str]:
        """The keys that begin with a prefix."""
        ...

    def read(self, key: str, most: int) -> bytes | None:
        """An object's bytes, `most` and one more of them; None where it is gone."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already count as deleted."""
        ...


@dataclass(frozen=True)
class Work:
    """What every workflow works on. `requests` and `records` are catalogued tables, `wraps` the wrapped keys."""

    cases: Cases
    requests: Table
    records: Table
    vault: Vault
    ledger: Ledger
    signer: Signer
    clock: Clock
    wraps: WrapStore

    def now(self) -> int:
        """The time in whole POSIX seconds."""
        return int(self.clock.now())


@dataclass(frozen=True)
class Ports(Work):
    """What the erasure works on besides: the exports, and who is told."""

    exports: Objects
    late_writer_seconds: int
    teller: Teller | None = None


Result = dict[str, Any]


class TaskError(Exception):
    """A task cannot do its work; the workflow tries again, then marks the case as failed."""

    text = "the task failed"

    def __init__(self) -> None:
        super().__init__(self.text)


class NotReady(TaskError):
    """The case is in a state in which the workflow has nothing to do with it."""

    text = "the case is not in a state that this task works on"


class SubjectBusy(TaskError):
    """Another case has frozen the data subject. Worth trying again: it ends or lets go."""

    text = "another case is working on the data subject"


class OutOfTime(TaskError):
    """More is left than fits into one run of the function. Not a failure: the workflow runs the task again."""

    text = "there is more to do than one run can"


class UnsupportedHold(TaskError):
    """A legal hold names what cannot be kept past the destruction of the key: by its kind, or since nothing opens it.
    Found before anything is destroyed."""

    text = "a hold names a kind that cannot be held"


class NotCovered(TaskError):
    """The catalogue has a store or a kind that no eraser covers: nothing may be forgotten."""

    text = "the catalogue names what no eraser covers"


class UnknownRecipient(TaskError):
    """Data went to a recipient that policy/processors.toml does not know."""

    text = "a recipient is not in the register"


class ResidueFound(TaskError):
    """Something is left after it was deleted, or a destroyed key still opens."""

    text = "something is left of the data subject"
