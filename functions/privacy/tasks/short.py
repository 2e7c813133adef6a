"""What the short workflows share, those that freeze and destroy nothing: copies and changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import Any

from chatapi.store.aliases import aliases
from chatapi.store.case_states import CANCELLED, COMPLETE, COMPLETED, FAIL, START, Act
from chatapi.store.cases import Case, NotAllowed
from privacy.tasks.certify import issue_once
from privacy.tasks.outcomes import frame
from privacy.tasks.ports import NotReady, Result, Work

ENDED = (COMPLETED, CANCELLED)


def advance(ports: Work, case: Case, act: Act) -> Case | None:
    """Do an act. None where the case has ended; NotReady where it stands anywhere else that the act does not start."""
    try:
        return ports.cases.act(case, act)
    except NotAllowed as standing:
        if standing.case.status in ENDED:
            return None
        raise NotReady from None


def take_up(ports: Work, case: Case, types: Collection[str]) -> Result:
    """Take the case up, and find who else the data subject is. Answers `go`: not so where it has ended."""
    if case.type not in types:
        raise NotReady
    taken = advance(ports, case, START)
    if taken is None:
        return {"go": False}
    case = taken
    others = aliases(ports.records, case.project, case.subject)
    ports.cases.gather(case, subjects=[case.subject, *sorted(others)])
    return {"go": True}


def conclude(
    ports: Work,
    case: Case,
    stores: list[dict[str, Any]],
    more: dict[str, Any] | None = None,
    before: Callable[[], None] = lambda: None,
) -> Result:
    """Complete the case with its receipt, of `stores` and what `more` says. `before` is done between the two."""
    now = ports.now()
    case = issue_once(ports, case, {**frame(case, stores, now), **(more or {})}, f"{case.type}.completed")
    before()
    try:
        ports.cases.act(case, COMPLETE, completed=now, stores=stores)
    except NotAllowed as standing:
        if standing.case.status != COMPLETED:
            raise
    return {}


def mark_failed(ports: Work, case: Case) -> Result:
    """Say so, unless the case has ended."""
    with contextlib.suppress(NotAllowed):
        ports.cases.act(case, FAIL)
    return {}
