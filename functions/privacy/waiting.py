"""Requests that wait until it is known who asks, and how their person makes them go on (GDPR Art. 12(6)).

A session of the portal shows who somebody is: its owner typed the code that was mailed to them, or the project, which
holds the key, handed the link on. A case of the person's own goes on by that. One that came by mail, or through an
agent who named a mail address, belongs to no project: who has read a code at that very address takes it over, and an
agent's request becomes one of the person's own, of the same right and with what was left of its time.
"""

from __future__ import annotations

from collections.abc import Callable

from chatapi.clock import Clock
from chatapi.errors import NotFound
from chatapi.store.case_states import CANCELLED, COMPLETED, FAILED, ON_HOLD, RECEIVED, REVERSIBLE, Act
from chatapi.store.cases import Case, Cases, NotAllowed
from chatapi.store.timers import set_reminder
from privacy.intake.service import ANSWERED, INTAKE

_SETTLED = Act(frozenset({RECEIVED, ON_HOLD}), CANCELLED, frozenset({REVERSIBLE}), put={"reason": None})
Open = Callable[[str, str, str], Case]
"""Opens the case of (project, subject, right), or finds the one that is open."""


def waits(case: Case) -> bool:
    """Whether a case stands still until it is known who asks."""
    return case.status == ON_HOLD and case.stage == REVERSIBLE


class Waiting:
    """What waits for somebody. `claim` is the id under which their mail address is known in `intake`; empty where the
    session proves none."""

    def __init__(self, cases: Cases, clock: Clock) -> None:
        self._cases = cases
        self._clock = clock

    def of(self, project: str, subject: str, claim: str) -> list[Case]:
        """The cases that go on when the person says so: their own, then those of their address."""
        own = self._cases.of_subject(project, subject)
        claimed = self._cases.of_subject(INTAKE, claim) if claim else ()
        return [case for case in (*own, *claimed) if waits(case)]

    def find(self, project: str, subject: str, claim: str, case_id: str) -> Case:
        """One that is the person's, waiting or not. NotFound for everybody else's."""
        for place, owner in ((project, subject), (INTAKE, claim)):
            case = self._cases.find(place, case_id) if owner else None
            if case is not None and case.subject == owner:
                return case
        raise NotFound

    def confirm(self, case: Case, project: str, subject: str, open_case: Open) -> Case:
        """It is them: the clock goes on from this moment, and the request with it. The case that is to be followed.
        Once more does no harm."""
        if waits(case):
            try:
                case = self._cases.resume(case, self._clock.now())
            except NotAllowed as standing:  # at the same time in another window, or by the officer
                case = standing.case
        if case.project != INTAKE:
            return case
        if taken := case.get("confirmed"):
            return self._cases.get(taken["project"], taken["case"]) if taken["case"] else case
        if case.status != RECEIVED:
            return case
        own = open_case(project, subject, case.get("asks")) if case.get("asks") else None
        due = int(case.get("due"))
        if own is not None and int(own.get("due")) > due:  # the law's month began when the agent asked
            set_reminder(self._cases.table, due, own.project, own.id)
            own = self._cases.note(own, due=due)
        self._cases.note(case, confirmed={"project": project, "case": own.id if own else ""})
        return own or self._cases.get(INTAKE, case.id)


def settled(cases: Cases, case: Case, now: float) -> Case:
    """An agent's case as the person's own one stands that it became: ended with it, and as that ended."""
    taken = case.get("confirmed")
    if not taken or not taken["case"] or case.status != RECEIVED:
        return case
    own = cases.find(taken["project"], taken["case"])
    if own is None or own.open:
        return case
    try:
        if own.status == FAILED:
            return cases.deny(case, own.get("reason"), now)
        return cases.act(case, ANSWERED if own.status in (COMPLETED, ON_HOLD) else _SETTLED, completed=int(now))
    except NotAllowed as standing:
        return standing.case
