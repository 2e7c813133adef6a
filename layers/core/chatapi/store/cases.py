"""Data-rights cases in the Requests table: opaque ids, states (case_states.py), times and outcomes. Nothing that the
data subject said.

Every act is one conditional update, so of two that exclude each other (cancel and commit) exactly one happens, and
`completed`, `cancelled` and a denial are final. An open case of the same right, subject and target is found again, so a
right asked for twice is one case. Facts gathered before the commit may be gathered again (`gather`); after it they
stand, and what the irreversible steps find is written where nothing stands yet (`keep`) or grows (`note`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

from chatapi.catalogue import expiry, read_policy
from chatapi.deadlines import controller_zone, due, extended, may_extend
from chatapi.errors import Conflict, NotFound, Unavailable
from chatapi.store.case_states import (
    CANCEL,
    CLOSED,
    COMMIT,
    DENY,
    FAILED,
    IN_PROGRESS,
    IRREVERSIBLE,
    ON_HOLD,
    PAUSE,
    RECEIVED,
    RESUME,
    REVERSIBLE,
    Act,
)
from chatapi.store.items import Change, Collision, Item, Table, pages
from chatapi.store.keys import case_pk, open_pk, open_sk, own_pk
from chatapi.store.timers import WAITING, set_reminder, set_timer

_RACES = 8
_OWN = 100  # what a person sees of their own cases; the export has all


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
        """The right: a name of policy/rights.toml."""
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
    def open(self) -> bool:
        """Whether asking for the same again finds this case. A part that a legal hold keeps does not count: the person
        may have come back since, and what is new is erased by a case of its own."""
        if self.status in (RECEIVED, IN_PROGRESS, ON_HOLD):
            return self.status != ON_HOLD or self.stage == REVERSIBLE
        return self.status == FAILED and self.stage != CLOSED

    @property
    def waiting(self) -> bool:
        """Whether legal holds keep a part of what this erasure was asked for."""
        return self.status == ON_HOLD and self.stage == IRREVERSIBLE

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
        self.table = self._table = table

    def create(
        self, project: str, case_id: str, case_type: str, subject: str, now: float, *, target: str = "", **facts: Any
    ) -> Case:
        """A new case; or the one that has this id already; or the open one of the same right, subject and `target`.

        The pointer to the open case is written first. Who finds one to a case that is not there yet (its writer is
        still on the way, or was killed) writes that case itself, so of two at once both get the same.
        """
        standing = self._table.get(case_pk(project), case_id)
        if standing is not None:
            return Case(project, case_id, standing)
        found = self._claim(project, subject, open_sk(case_type, target), case_id, now)
        if isinstance(found, Case):
            return found
        # First the pointer, so that no case is missing from its subject's own list; one without a case is passed over.
        own = {"pk": own_pk(project, subject), "sk": found, "kind": "own", "at": int(now), "ttl": expiry("own", now)}
        self._table.put(own)
        term = int(due(int(now), controller_zone()))
        set_reminder(self._table, term, project, found)  # before the case: none is without its clock
        item = {
            "pk": case_pk(project),
            "sk": found,
            "kind": "case",
            "type": case_type,
            "status": RECEIVED,
            "stage": REVERSIBLE,
            "subject": subject,
            "created": int(now),
            "due": term,
            "ttl": expiry("case", now),
            **facts,
        }
        try:
            self._table.put(item, absent=True)
        except Collision:
            return self.get(project, found)
        return Case(project, found, item)

    def _claim(self, project: str, subject: str, slot: str, case_id: str, now: float) -> Case | str:
        """The open case of a slot, or the id under which the caller writes one."""
        pk = open_pk(project, subject)
        pointer = {"pk": pk, "sk": slot, "kind": "open", "case": case_id, "ttl": expiry("open", now)}
        for _ in range(_RACES):
            try:
                self._table.put(pointer, absent=True)
            except Collision as collision:
                found = collision.item or {}
            else:
                return case_id
            standing = found.get("case", "")
            if found.get("ttl", 0) > now:  # past its TTL it is none any more, only not deleted yet
                item = self._table.get(case_pk(project), standing)
                if item is None:
                    return str(standing)
                if (case := Case(project, standing, item)).open:
                    return case
            change = Change(put={"case": case_id, "ttl": pointer["ttl"]}, expect={"kind": "open", "case": standing})
            with contextlib.suppress(Collision):
                self._table.update(pk, slot, change)
                return case_id
        raise Unavailable

    def pause(self, case: Case, now: float) -> Case:
        """Stop the clock while it is in doubt who is asking (GDPR Art. 12(6)); nothing else stops it."""
        # No reminder comes near while it stands, so the officer is told that it does.
        set_timer(self._table, int(now), case.project, case.id, WAITING)
        return self.act(case, PAUSE, paused=int(now))

    def resume(self, case: Case, now: float) -> Case:
        """Identity is established: the deadline moves by as long as the clock stood."""
        return self.act(case, RESUME, due=int(case.get("due")) + max(0, int(now) - case.get("paused", int(now))))

    def extend(self, case: Case, reason: str, now: float) -> Case:
        """Extend the term once by two months (GDPR Art. 12(3)); Conflict where the term has run out or was extended.

        The clock's pauses so far are added, as they were to the first term.
        """
        if reason not in read_policy("rights")["extensions"]:
            raise ValueError("an extension carries a reason of policy/rights.toml")
        zone = controller_zone()
        paused = case.get("due") - int(due(case.created, zone))
        put = {"extended": {"at": int(now), "reason": reason}, "due": int(extended(case.created, zone)) + paused}
        expect = {"extended": None, "due": case.get("due"), "status": frozenset({RECEIVED, IN_PROGRESS, ON_HOLD})}
        if may_extend(now, case.get("due")):
            with contextlib.suppress(Collision):
                return self._update(case, Change(put=put, expect=expect))
        raise Conflict("The term has run out, was extended before, or the request has ended.", code="not_extendable")

    def deny(self, case: Case, reason: str, now: float) -> Case:
        """Refuse it for a reason of policy/rights.toml (RGT-9). Final, like every end."""
        if reason not in read_policy("rights")["denials"]:
            raise ValueError("a denial carries a reason of policy/rights.toml")
        return self.act(case, DENY, reason=reason, completed=int(now))

    def get(self, project: str, case_id: str) -> Case:
        """The case, if it is this project's; NotFound otherwise."""
        case = self.find(project, case_id)
        if case is None:
            raise NotFound
        return case

    def find(self, project: str, case_id: str) -> Case | None:
        """The case, or None."""
        item = self._table.get(case_pk(project), case_id)
        return Case(project, case_id, item) if item else None

    def list(self, project: str, after: str | None = None, limit: int = 20) -> tuple[list[Case], bool]:
        """A page of the project's cases in the order of their ids, past `after`, and whether there is more."""
        items = self._table.query(case_pk(project), after=after, limit=limit + 1)
        return [Case(project, item["sk"], item) for item in items[:limit]], len(items) > limit

    def of_subject(self, project: str, subject: str) -> Sequence[Case]:
        """The last hundred cases of a data subject, newest first."""
        rows = (row for page in pages(self._table, own_pk(project, subject)) for row in page)
        own = nlargest(_OWN, rows, key=lambda row: (int(row["at"]), str(row["sk"])))
        items = self._table.get_all([(case_pk(project), row["sk"]) for row in own])
        cases = [Case(project, item["sk"], item) for item in items]
        return sorted(cases, key=lambda case: (-case.created, case.id))

    def act(self, case: Case, act: Act, **facts: Any) -> Case:
        """Do an act, and write facts with it. NotAllowed where the case is not where the act starts."""
        return self._act(case, act, facts, {})

    def commit(self, case: Case) -> Case:
        """The point of no return, of a case as it was read: NotAllowed too where a hold was announced since."""
        return self._act(case, COMMIT, {}, {"held_anew": case.get("held_anew")})

    def _act(self, case: Case, act: Act, facts: Item, expect: Item) -> Case:
        put = {"status": act.target, **act.put, **facts}
        try:
            return self._update(case, Change(put=put, expect={"status": act.source, "stage": act.stages, **expect}))
        except Collision:
            raise NotAllowed(self.get(case.project, case.id)) from None

    def announce(self, case: Case, hold: str) -> bool:
        """Tell a case of a legal hold that was added: its commit looks at the holds again. False: it comes too late."""
        try:
            self._update(case, Change(put={"held_anew": hold}, expect={"stage": REVERSIBLE}))
        except Collision:
            return False
        return True

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
