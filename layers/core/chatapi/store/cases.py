"""Data-rights cases in the Requests table: opaque ids, states, times and outcomes. Nothing the data subject said.

                          commit
    received ─▶ in_progress ─▶ in_progress, irreversible ─▶ completed
        │           │ ▲            │ ▲
        ├───────────┤ └── failed ◄─┘ │        a failed case starts again, in the stage that it had reached
        ▼           ▼        └───────┘
    cancelled  cancelled                      only while reversible

Every act is one conditional update, so of two that exclude each other (cancel and commit) exactly one happens, and
`completed` and `cancelled` are final. Facts gathered before the commit may be gathered again (`gather`); after it they
stand, and what the irreversible steps find is written where nothing stands yet (`keep`) or grows (`note`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chatapi.catalogue import expiry
from chatapi.deadlines import due
from chatapi.errors import Conflict, NotFound
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import case_pk

RECEIVED, IN_PROGRESS, ON_HOLD = "received", "in_progress", "on_hold"
COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
REVERSIBLE, IRREVERSIBLE = "reversible", "irreversible"

_ANY = frozenset({REVERSIBLE, IRREVERSIBLE})


@dataclass(frozen=True)
class Act:
    """One transition: from which states and stages, to which state; `put` sets more."""

    source: frozenset[str]
    target: str
    stages: frozenset[str] = _ANY
    put: Mapping[str, Any] = field(default_factory=dict)


START = Act(frozenset({RECEIVED, IN_PROGRESS, FAILED}), IN_PROGRESS)
COMMIT = Act(frozenset({IN_PROGRESS}), IN_PROGRESS, put={"stage": IRREVERSIBLE})
COMPLETE = Act(frozenset({IN_PROGRESS}), COMPLETED, frozenset({IRREVERSIBLE}))
FAIL = Act(frozenset({RECEIVED, IN_PROGRESS, ON_HOLD, FAILED}), FAILED)
CANCEL = Act(frozenset({RECEIVED, IN_PROGRESS, ON_HOLD}), CANCELLED, frozenset({REVERSIBLE}))


class NotAllowed(Exception):
    """The case is in a state from which the act does not start. Carries the case as it stands."""

    def __init__(self, case: Case) -> None:
        super().__init__("the case is in another state")
        self.case = case


@dataclass(frozen=True)
class Case:
    """A case as it was read. `facts` is its item; times are whole POSIX seconds.

    `subject` is the one that was asked for, `subjects` adds its aliases; `generations` gives each one's last generation
    at the freeze (0: it had no key), `canary` the sealed canaries of those that were alive then.
    """

    project: str
    id: str
    facts: Item = field(repr=False)

    @property
    def type(self) -> str:
        """The right: `erasure`."""
        return str(self.facts["type"])

    @property
    def status(self) -> str:
        """One of the six states."""
        return str(self.facts["status"])

    @property
    def stage(self) -> str:
        """`reversible` until the commit."""
        return str(self.facts["stage"])

    @property
    def subject(self) -> str:
        """The data subject's id."""
        return str(self.facts["subject"])

    @property
    def subjects(self) -> list[str]:
        """The data subject, then its aliases."""
        return list(self.facts.get("subjects", [self.subject]))

    @property
    def created(self) -> int:
        """When it was received."""
        return int(self.facts["created"])

    @property
    def destroying(self) -> bool:
        """Whether the irreversible steps may work on it: after the commit and before the end."""
        return self.status == IN_PROGRESS and self.stage == IRREVERSIBLE

    def get(self, name: str, default: Any = None) -> Any:
        """A fact, or the default where it is not known yet."""
        return self.facts.get(name, default)


class Cases:
    """The repository. `table` is the catalogued Requests table, whose errors pass through."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, project: str, case_id: str, case_type: str, subject: str, now: float) -> Case:
        """A new case, or the one that has this id already."""
        item = {
            "pk": case_pk(project),
            "sk": case_id,
            "kind": "case",
            "type": case_type,
            "status": RECEIVED,
            "stage": REVERSIBLE,
            "subject": subject,
            "created": int(now),
            "due": int(due(int(now))),
            "ttl": expiry("case", now),
        }
        try:
            self._table.put(item, absent=True)
        except Collision:
            return self.get(project, case_id)
        return Case(project, case_id, item)

    def get(self, project: str, case_id: str) -> Case:
        """The case, if it is this project's; NotFound otherwise."""
        item = self._table.get(case_pk(project), case_id)
        if item is None:
            raise NotFound
        return Case(project, case_id, item)

    def list(self, project: str, after: str | None = None, limit: int = 20) -> tuple[list[Case], bool]:
        """A page of the project's cases in the order of their ids, past `after`, and whether there is more."""
        items = self._table.query(case_pk(project), after=after, limit=limit + 1)
        return [Case(project, item["sk"], item) for item in items[:limit]], len(items) > limit

    def act(self, case: Case, act: Act, **facts: Any) -> Case:
        """Do an act, and write facts with it. NotAllowed where the case is not where the act starts."""
        put = {"status": act.target, **act.put, **facts}
        try:
            return self._update(case, Change(put=put, expect={"status": act.source, "stage": act.stages}))
        except Collision:
            raise NotAllowed(self.get(case.project, case.id)) from None

    def cancel(self, case: Case) -> Case:
        """Cancel; Conflict once the erasure cannot be taken back, or where the case has ended."""
        try:
            return self.act(case, CANCEL)
        except NotAllowed:
            raise Conflict(
                "This request has ended or has passed the point of no return.", code="request_not_cancellable"
            ) from None

    def gather(self, case: Case, **facts: Any) -> Case:
        """Write facts while the case is under way and reversible. Past that they stand; the case comes as it is."""
        try:
            return self._update(case, Change(put=facts, expect={"status": IN_PROGRESS, "stage": REVERSIBLE}))
        except Collision:
            return self.get(case.project, case.id)

    def keep(self, case: Case, **facts: Any) -> Case:
        """Write each fact where none stands yet; what the first run found is what every later run sees."""
        return self._update(case, Change(default=facts))

    def note(self, case: Case, **facts: Any) -> Case:
        """Write facts that later runs know better."""
        return self._update(case, Change(put=facts))

    def exchange(self, case: Case, name: str, old: Any, new: Any) -> Case:
        """Replace a fact where `old` stands (None: nothing); the case as it stands afterwards, changed or not."""
        try:
            return self._update(case, Change(put={name: new}, expect={name: old}))
        except Collision:
            return self.get(case.project, case.id)

    def _update(self, case: Case, change: Change) -> Case:
        expect = {"kind": "case", **change.expect}
        whole = Change(put=change.put, default=change.default, expect=expect)
        return Case(case.project, case.id, self._table.update(case_pk(case.project), case.id, whole))
