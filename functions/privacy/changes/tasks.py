"""The tasks of changes: take the case up, do it, tell the project, certify. Each is idempotent.

begin ─▶ apply (the point of no return, then the change) ─▶ tell, with growing pauses ─▶ certify
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.catalogue import catalogue, read_policy
from chatapi.store.case_states import COMMIT
from chatapi.store.cases import Case
from chatapi.store.items import pages
from chatapi.store.keys import DAY, UNDATED, recipient_of, subject_pk
from privacy.changes.beside import KEPT, complete
from privacy.changes.correct import CORRECTED, correct, tidy
from privacy.changes.flags import object_to, restrict
from privacy.changes.ports import Ports
from privacy.changes.restore import forget, restore
from privacy.tasks.outcomes import accounted
from privacy.tasks.ports import NotReady, Result
from privacy.tasks.short import ENDED, advance, conclude, mark_failed, take_up
from privacy.tasks.tell import line, tell

WORK: Mapping[str, tuple[Callable[[Ports, Case], dict[str, Any]], str, str, str]] = {
    "correction": (correct, "records", CORRECTED, "corrected; commitments to before and after are below"),
    "completion": (complete, "records", KEPT, "a statement is kept beside the record"),
    "restriction": (restrict, "vault", "recorded", "what is stored is kept and not used, or free again"),
    "import": (restore, "records", "imported", "stands again, or stood already, until it would have ended"),
    "objection": (object_to, "requests", "recorded", "the objection stands, and outlives an erasure"),
}
"""By type: what is done, in which store, the outcome where something was, and what the receipt says of it."""


def begin(ports: Ports, case: Case) -> Result:
    """Take the case up, and find who else the data subject is. Answers `go`: not so where it has ended."""
    return take_up(ports, case, WORK)


def apply(ports: Ports, case: Case) -> Result:
    """Past the point of no return: do it. Answers `go`: not so where the case was cancelled in time, or has ended."""
    committed = advance(ports, case, COMMIT)
    if committed is None:
        return {"go": False}
    case = committed
    if "made" not in case.facts:
        facts = WORK[case.type][0](ports, case)
        ports.cases.keep(case, recipients=_recipients(ports, case) if facts["made"] else [], **facts)
    return {"go": True}


def pass_on(ports: Ports, case: Case) -> Result:
    """Tell the project's webhook (GDPR Art. 19): `{done, wait}`. What changed nothing is not told, and an objection is
    told as the choice that it is (privacy.choosing); what is read in again is nobody's news."""
    if "made" not in case.facts:
        raise NotReady
    quiet = case.type in ("objection", "import") or not case.get("made")
    return {"done": True, "wait": 0} if quiet else tell(ports, case)


def certify(ports: Ports, case: Case) -> Result:
    """Complete the case with its receipt, also where nothing was found; what was handed in is forgotten."""
    if case.status in ENDED:
        return {}
    if "made" not in case.facts or not case.destroying:
        raise NotReady
    more = {**shown(case), "recipients": [*case.get("recipients"), *line(case)]}
    return conclude(ports, case, _stores(case), more, lambda: (forget if case.type == "import" else tidy)(ports, case))


def shown(case: Case) -> dict[str, Any]:
    """What a receipt says beside the stores."""
    names = [name for name in ("changes", "restricted", "purpose", "imported") if name in case.facts]
    return {name: case.get(name) for name in names}


def _recipients(ports: Ports, case: Case) -> list[dict[str, Any]]:
    """Who received data of the subjects, and what the register says is there to be changed (GDPR Art. 19)."""
    register, now = read_policy("processors")["processors"], ports.now()
    names = {
        recipient_of(row["sk"])
        for subject in case.subjects
        for page in pages(ports.records, subject_pk(case.project, subject, UNDATED), DAY)
        for row in page
    }
    return [{"recipient": n, "answer": register.get(n, {}).get("erasure", "unknown"), "at": now} for n in sorted(names)]


def _stores(case: Case) -> list[dict[str, Any]]:
    _, place, outcome, why = WORK[case.type]
    made = case.get("made")
    found = accounted(place, outcome, made, why if made else "looked for, and nothing was there")
    return [
        found if store == place else accounted(store, outcome, 0, "not touched by this right")
        for store in catalogue().stores
    ]


TASKS: Mapping[str, Callable[[Ports, Case], Result]] = {
    "begin": begin,
    "apply": apply,
    "tell": pass_on,
    "certify": certify,
    "mark_failed": mark_failed,
}
