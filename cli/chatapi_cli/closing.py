"""Closing a project: keys first, then every data subject through the erasure that everybody else gets, then the state.

It can be stopped and run again at any moment: what is left is found anew each time, in the stores themselves. That is a
scan of Vault and Records, the one in the product: a project ends once, and nothing but its own rows knows its subjects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from chatapi.aws.av import from_item, to_av
from chatapi.ids import request_id
from chatapi.limits.admission import dead_slots
from chatapi.store.case_states import COMPLETED, FAILED, IN_PROGRESS, ON_HOLD, RECEIVED
from chatapi.store.cases import Case, Cases
from chatapi.store.keys import HOLD
from chatapi.store.project_states import ProjectStates

_TYPE = "erasure"


class Found(Protocol):
    """What stands of a project in the stores."""

    def vault(self, project: str) -> Iterator[tuple[str, bool]]:
        """Each subject in the Vault, and whether it has a key that opens."""
        ...

    def records(self, project: str) -> Iterator[tuple[str, str]]:
        """(subject, generation) of every row of a subject, held ones too."""
        ...


class Executions(Protocol):
    """Starts executions of the erasure workflow."""

    def start(self, name: str, case: Case) -> None:
        """Start one; a name that was used before is no error."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a closure stands: data subjects by what became of them, and chats that still run."""

    waiting: int
    done: int
    held: int
    failed: int
    chats: int

    @property
    def closed(self) -> bool:
        """Nothing is left to do."""
        return not (self.waiting or self.held or self.failed or self.chats)


class Closing:
    """One closure. `now` and `sleep` are the clock's."""

    def __init__(
        self,
        project: str,
        states: ProjectStates,
        cases: Cases,
        executions: Executions,
        found: Found,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._project = project
        self._states = states
        self._cases = cases
        self._executions = executions
        self._found = found
        self._now = now
        self._sleep = sleep

    def run(self, seconds: float, tell: Callable[[Progress], None]) -> Progress:
        """End the keys, have every subject erased, close. At most `seconds`; the last word is what is returned."""
        until = self._now() + seconds
        self._states.begin_closing(self._project)
        cases = self._on_hold()
        while True:
            chats = self._chats()
            for subject in sorted(self._left() - {s for s, case in cases.items() if case.status != COMPLETED}):
                # A subject that is found again after its case wrote late: another case takes that.
                cases[subject] = self._open(subject)
            while True:
                progress = self._progress(cases, chats)
                tell(progress)
                if not progress.waiting or self._now() >= until:
                    break
                self._sleep(1.0)
                cases = {subject: self._cases.get(self._project, case.id) for subject, case in cases.items()}
            if progress.waiting or progress.held or progress.failed:
                return progress
            if not self._left() and not self._chats():
                self._states.close(self._project)
                return self._progress(cases, 0)
            if self._now() >= until:
                return self._progress(cases, self._chats())
            self._sleep(1.0)

    def _on_hold(self) -> dict[str, Case]:
        """The cases of an earlier run that a legal hold keeps open: they end by themselves when it does."""
        found: dict[str, Case] = {}
        after, more = None, True
        while more:
            page, more = self._cases.list(self._project, after, 100)
            found |= {case.subject: case for case in page if case.type == _TYPE and case.status == ON_HOLD}
            after = page[-1].id if page else None
        return found

    def _open(self, subject: str) -> Case:
        case = self._cases.create(self._project, request_id(), _TYPE, subject, self._now())
        if case.status in (RECEIVED, FAILED):
            # A name is used up for 90 days; whoever runs this again after a failure wants another try.
            self._executions.start(f"{case.id}-{int(self._now() * 1000)}", case)
            return self._cases.get(self._project, case.id)
        return case

    def _left(self) -> set[str]:
        """The subjects that still have something. A row that a hold keeps is told by its case, which is open."""
        left = {subject for subject, opens in self._found.vault(self._project) if opens}
        held: set[str] = set()
        for subject, generation in self._found.records(self._project):
            (held if generation == HOLD else left).add(subject)
        return left | held

    def _chats(self) -> int:
        """Chats that hold a slot: they may still write."""
        slots = tuple(self._states.get(self._project).get("inf", ()))
        return len(slots) - len(dead_slots(slots, self._now()))

    @staticmethod
    def _progress(cases: dict[str, Case], chats: int) -> Progress:
        states = [case.status for case in cases.values()]
        done, held = states.count(COMPLETED), states.count(ON_HOLD)
        waiting = states.count(RECEIVED) + states.count(IN_PROGRESS)
        return Progress(waiting, done, held, len(states) - done - held - waiting, chats)


class Scan:
    """`Found` by scanning the two tables, keys alone."""

    def __init__(self, client: Any, vault: str, records: str) -> None:
        self._client = client
        self._vault = vault
        self._records = records

    def vault(self, project: str) -> Iterator[tuple[str, bool]]:
        """See Found."""
        for item in self._rows(self._vault, f"v#{project}#", "pk, st"):
            yield item["pk"].split("#")[2], item.get("st") != "erased"

    def records(self, project: str) -> Iterator[tuple[str, str]]:
        """See Found."""
        for item in self._rows(self._records, f"s#{project}#", "pk"):
            _, _, subject, generation = item["pk"].split("#")
            yield subject, generation

    def _rows(self, table: str, prefix: str, fields: str) -> Iterable[dict[str, Any]]:
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "FilterExpression": "begins_with(pk, :prefix)",
            "ProjectionExpression": fields,
            "ExpressionAttributeValues": {":prefix": to_av(prefix)},
        }
        while True:
            page = self._client.call("Scan", request)
            yield from map(from_item, page.get("Items", ()))
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
