"""The end of an erasure that legal holds kept from ending: when a hold is over, what it held is erased (RGT-6).

A hold ends by its expiry or because an operator released it. Nobody asks for it: the clock starts the workflow of the
case again, which comes here. Each step is idempotent; the completed case carries a second certificate, which
names the first by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from chatapi.catalogue import catalogue
from chatapi.store.case_states import COMPLETED, RELEASE
from chatapi.store.cases import Case, NotAllowed
from chatapi.store.days import forget
from chatapi.store.holds import Holds
from chatapi.store.items import Item, Key, pages
from chatapi.store.keys import HOLD, UNDATED, held_case_sk, kind_of, open_pk, subject_pk
from chatapi.vault import InvalidCiphertext, State, TenantKeyUnavailable
from privacy.tasks.certify import UNOPENED, issue_once
from privacy.tasks.erasers import began_before, in_place
from privacy.tasks.outcomes import accounted, frame, irrecoverable_after
from privacy.tasks.ports import Ports, ResidueFound, Result
from privacy.tasks.timers import watch_holds

EVENT = "erasure.released"
PREFIX = "release_"
_ENDED = "was kept under a legal hold, which has ended"


def release(ports: Ports, case: Case) -> Result:
    """Erase what no hold keeps any more. Completed once nothing is kept; else it waits for the next hold's end."""
    if not case.waiting:
        return {}
    left, holds = 0, Holds(ports.requests)
    for subject in case.subjects:
        kept = {kind for hold in holds.in_force(case.project, subject, ports.now()) for kind in hold["kinds"]}
        for kind, rows in _held(ports, case, subject):
            if kind in kept:
                left += len(rows)
            elif kind == "day":
                for row in rows:
                    forget(ports.records, row)
            else:
                ports.records.delete_all([(row["pk"], row["sk"]) for row in rows])
    if left:
        ports.cases.note(case, **watch_holds(ports, case))
        return {}
    case = _destroy(ports, case)
    if any(True for subject in case.subjects for _ in _held(ports, case, subject)):
        raise ResidueFound
    case = issue_once(ports, case, _body(case, ports.now()), EVENT, PREFIX)
    pointers: list[Key] = [(open_pk(case.project, subject), held_case_sk(case.id)) for subject in case.subjects]
    try:
        ports.cases.act(case, RELEASE, completed=ports.now(), until=None, stores=_stores(case))
    except NotAllowed as standing:
        if standing.case.status != COMPLETED:
            raise
    ports.requests.delete_all(pointers)
    return {}


def _held(ports: Ports, case: Case, subject: str) -> Iterator[tuple[str, list[Item]]]:
    """What this case left standing under its holds, by the kind that was held: sealed copies, and rows in place."""
    copies = subject_pk(case.project, subject, HOLD)
    for page in pages(ports.records, copies, case.id + "#", expired=True):
        for kind in sorted({kind_of(row["origin"]) for row in page}):
            yield kind, [row for row in page if kind_of(row["origin"]) == kind]
    places = subject_pk(case.project, subject, UNDATED)
    kinds, until = in_place(case), case.get("inventory")["at"]
    for page in pages(ports.records, places, expired=True):
        for kind in sorted(kinds):
            ours = [row for row in page if row["kind"] == kind and began_before(row, until)]
            if ours:
                yield kind, ours


def _destroy(ports: Ports, case: Case) -> Case:
    """Destroy the case's own key, after sealing a canary under it; without one where nothing opens the key."""
    holder = "hold_" + case.id
    item = ports.wraps.get(case.project, holder)
    if item is None:
        return case
    if item.state is State.ACTIVE:
        canary = b""
        with suppress(InvalidCiphertext, TenantKeyUnavailable):
            writer = ports.vault.writer(case.project, holder)
            canary = writer.seal("canary", case.id, holder, "canary", 1, os.urandom(32))
        case = ports.cases.keep(case, **{PREFIX + "canary": canary})
        ports.wraps.freeze(case.project, holder, item.generation, case.id)
    ports.wraps.destroy(case.project, holder, item.generation, ports.now(), case.id)
    return case


def _stores(case: Case) -> list[dict[str, Any]]:
    """The case's lines as they are now: what was held is deleted."""
    return [_ended(line) if line["store"] == "records" and line["outcome"] == "held" else line for line in _lines(case)]


def _lines(case: Case) -> list[dict[str, Any]]:
    return [dict(line) for line in case.get("stores", [])]


def _ended(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "outcome": "deleted", "reason": _ENDED}


def _body(case: Case, now: int) -> dict[str, Any]:
    shredded = PREFIX + "canary" in case.facts
    lines = []
    for store in catalogue().stores:
        line = accounted(store, "deleted", 0, "not touched by the end of a hold")
        if store == "vault" and shredded:
            line = accounted(store, "shredded", 1, "the key of the case was destroyed")
        if store == "records":
            line = accounted(store, "deleted", case.get("held"), _ENDED)
        lines.append(line)
    canary = None
    if shredded:
        sealed = base64.b64encode(case.get(PREFIX + "canary")).decode()
        canary = {"subject": "hold_" + case.id, "ciphertext": sealed, "opens": False}
    return {
        **frame(case, lines, now),
        "holds": case.get("holds", []),
        "irrecoverable_after": irrecoverable_after(now),
        **({"notes": [UNOPENED]} if case.get(PREFIX + "canary") == b"" else {}),
        "supplements": hashlib.sha256(case.get("certificate")).hexdigest(),
        "canary": canary,
    }
