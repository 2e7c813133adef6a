"""What is to be done when: rows in a partition per day, which the clock function reads (privacy.clock).

A timer may fire more than once or late, and never alone decides anything: what it starts looks at the case again. The
reminders are a chain, each sets the next one, so that a case costs one row; one whose clock stands has a row more, by
which its officer hears of it.
"""

from __future__ import annotations

from chatapi.catalogue import expiry
from chatapi.clock import day_of
from chatapi.store.items import Table
from chatapi.store.keys import timer_pk, timer_sk

REMIND, URGENT, OVERDUE, HOLDS, WAITING = "remind", "urgent", "overdue", "holds", "waiting"
_DAY = 86400
BEFORE = {REMIND: 10 * _DAY, URGENT: 3 * _DAY, OVERDUE: 0}
"""How long before a case is due its officer is told, in seconds."""
NEXT = {REMIND: URGENT, URGENT: OVERDUE}
"""Which reminder follows another."""


def set_timer(table: Table, at: int, project: str, case: str, what: str) -> None:
    """Look at a case at `at`, POSIX seconds. The same twice is one row."""
    row = {"pk": timer_pk(day_of(at)), "sk": timer_sk(at, project, case, what), "kind": "timer"}
    table.put({**row, "ttl": expiry("timer", at)})


def set_reminder(table: Table, due: int, project: str, case: str, what: str = REMIND) -> None:
    """Tell the officer of a case in time before it is due."""
    set_timer(table, due - BEFORE[what], project, case, what)
