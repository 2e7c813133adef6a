"""What is to be done when: rows in a partition per day, which the clock function reads (privacy.clock).

A timer may fire more than once or late, and never alone decides anything: what it starts looks at the case again.
"""

from __future__ import annotations

from typing import Protocol

from chatapi.catalogue import expiry
from chatapi.clock import day_of
from chatapi.store.cases import Case
from chatapi.store.holds import Holds
from chatapi.store.items import Table
from chatapi.store.keys import held_case_sk, open_pk, timer_pk, timer_sk

REMIND, URGENT, OVERDUE, HOLDS = "remind", "urgent", "overdue", "holds"
DAY = 86400
BEFORE = {REMIND: 10 * DAY, URGENT: 3 * DAY, OVERDUE: 0}
"""How long before a case is due its officer is told, in seconds."""


class Timed(Protocol):
    """What is needed to set a timer."""

    @property
    def requests(self) -> Table:
        """The catalogued Requests table."""
        ...

    def now(self) -> int:
        """POSIX seconds."""
        ...


def set_timer(table: Table, at: int, case: Case, what: str) -> None:
    """Look at a case at `at`, POSIX seconds. The same twice is one row."""
    row = {"pk": timer_pk(day_of(at)), "sk": timer_sk(at, case.project, case.id, what), "kind": "timer"}
    table.put({**row, "ttl": expiry("timer", at)})


def watch_holds(ports: Timed, case: Case) -> None:
    """Find the case again from its subjects' holds, and look at it when the next one of them ends."""
    ends = []
    for subject in case.subjects:
        ends += [hold["expires"] for hold in Holds(ports.requests).in_force(case.project, subject, ports.now())]
        pointer = {"pk": open_pk(case.project, subject), "sk": held_case_sk(case.id), "kind": "open", "case": case.id}
        ports.requests.put({**pointer, "ttl": expiry("open", ports.now())})
    set_timer(ports.requests, min(ends, default=ports.now()), case, HOLDS)
