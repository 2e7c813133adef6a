"""Restriction (GDPR Art. 18) and objection (Art. 21): what is stored stays as it is, and is not used."""

from __future__ import annotations

from typing import Any

from chatapi.store.cases import Case
from chatapi.store.consents import Consents
from chatapi.vault import Conflict, State
from privacy.changes.ports import Ports
from privacy.tasks.ports import NotReady, SubjectBusy


def restrict(ports: Ports, case: Case) -> dict[str, Any]:
    """Restrict processing, or lift it: a mark on the item that whoever reads or writes stored data reads anyway."""
    made = 0
    for subject in case.subjects:
        item = ports.wraps.get(case.project, subject)
        if item is None or item.state is State.ERASED:
            continue
        wanted = case.id if case.get("restricted") else None
        try:
            ports.wraps.restrict(case.project, subject, item.generation, wanted)
        except Conflict:  # an erasure came in between
            raise SubjectBusy from None
        made += 1
    return {"made": made}


def object_to(ports: Ports, case: Case) -> dict[str, Any]:
    """The objection was written when it was asked for, and is obeyed from then on; here is its receipt. Where the
    person allows it anew, that is a later choice of its own."""
    if case.get("purpose") not in Consents(ports.requests).all(case.project, case.subject, ports.now()):
        raise NotReady
    return {"made": 1}
