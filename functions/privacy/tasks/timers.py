"""How a case that legal holds keep from ending is found again when they end (RGT-6)."""

from __future__ import annotations

from typing import Protocol

from chatapi.catalogue import expiry
from chatapi.store.cases import Case
from chatapi.store.holds import Holds
from chatapi.store.items import Table
from chatapi.store.keys import held_case_sk, open_pk, own_pk
from chatapi.store.timers import HOLDS, set_timer


class Timed(Protocol):
    """What is needed to set a timer."""

    @property
    def requests(self) -> Table:
        """The catalogued Requests table."""
        ...

    def now(self) -> int:
        """POSIX seconds."""
        ...


def watch_holds(ports: Timed, case: Case) -> dict[str, int]:
    """Find the case again from its subjects' holds, and look at it when the next one of them ends; what the case keeps.

    `watched` is that time, by which the clock knows whether a case that it started has got so far, `until` the end of
    the last one. The case and what leads to it live on from there: holds last longer than the term of a case.
    """
    ends = hold_ends(ports.requests, case, ports.now()) or [ports.now()]
    first, last = min(ends), max(ends)
    for subject in case.subjects:
        pointer = {"pk": open_pk(case.project, subject), "sk": held_case_sk(case.id), "kind": "open", "case": case.id}
        ports.requests.put({**pointer, "ttl": expiry("open", last)})
    own = {"pk": own_pk(case.project, case.subject), "sk": case.id, "kind": "own", "at": case.created}
    ports.requests.put({**own, "ttl": expiry("own", last)})
    set_timer(ports.requests, first, case.project, case.id, HOLDS)
    return {"watched": first, "until": last, "ttl": expiry("case", last)}


def hold_ends(requests: Table, case: Case, now: float) -> list[int]:
    """When each legal hold on the case's subjects that is in force ends, POSIX seconds."""
    holds = Holds(requests)
    return [hold["expires"] for subject in case.subjects for hold in holds.in_force(case.project, subject, now)]
