"""The irreversible half: keep what is held, destroy the keys, delete the rows, tell the recipients, look again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from chatapi.catalogue import expiry, read_policy
from chatapi.store.case_states import COMPLETED
from chatapi.store.cases import Case
from chatapi.store.consents import Consents
from chatapi.store.holds import sealed_anew
from chatapi.store.items import Change, Collision, Item, pages
from chatapi.store.keys import (
    HOLD,
    UNDATED,
    chunk_attribute,
    held_sk,
    record_sk,
    subject_pk,
)
from chatapi.store.sealed import attribute, chunks_of
from chatapi.vault import SubjectErased
from privacy.tasks.erasers import erasers, in_place
from privacy.tasks.ports import NotReady, OutOfTime, Ports, ResidueFound, Result, UnknownRecipient

STEP_SECONDS = 600
"""How long one run deletes, of the function's 900 seconds (its Timeout in template.yaml)."""


def keep_held(ports: Ports, case: Case) -> Result:
    """Seal what a hold names and the subject's key encrypts under a key of the case, so that it outlives that key."""
    if not case.destroying:
        return {}
    held = 0
    for subject in case.subjects:
        held += _stay(ports, case, subject)
        longest: dict[str, Item] = {}
        for hold in sorted(case.get("holds", ()), key=lambda hold: int(hold["expires"])):
            if hold["subject"] == subject:
                longest |= dict.fromkeys(filter(sealed_anew, hold["kinds"]), hold)
        if longest and subject in case.get("canary"):
            try:
                held += _reseal(ports, case, subject, longest)
            except SubjectErased:
                return {}  # a former run came further: what is held was sealed, and counted, before the key went
    ports.cases.note(case, held=held)
    return {}


def _term(case: Case) -> int:
    """When what is held ends at the latest: long after its holds, which end it (tasks/release.py). The record's own
    term would end it before them."""
    return expiry("held", case.get("inventory")["at"])


def _stay(ports: Ports, case: Case, subject: str) -> int:
    """Have rows that a hold keeps where they are outlive their own term; how many there are."""
    kept, count = in_place(case), 0
    for page in pages(ports.records, subject_pk(case.project, subject, UNDATED)):
        for row in page:
            if row["kind"] in kept:
                change = Change(put={"ttl": _term(case)}, expect={"kind": row["kind"]})
                with suppress(Collision):  # it ended this moment
                    ports.records.apply(row["pk"], row["sk"], change)
                    count += 1
    return count


def _reseal(ports: Ports, case: Case, subject: str, holds: dict[str, Item]) -> int:
    """Seal what `holds` (by kind) keep anew, record by record; how many rows that makes."""
    reader = ports.vault.reader(case.project, subject, case.get("generations")[subject])
    writer = ports.vault.writer(case.project, "hold_" + case.id, key=reader.tenant_key)
    source, target = subject_pk(case.project, subject, reader.generation), subject_pk(case.project, subject, HOLD)
    count = 0
    for kind, hold in sorted(holds.items()):
        for name, rows, bound in _records(ports, source, kind):
            for index, (row, place) in enumerate(zip(rows, bound, strict=True)):
                plain = reader.open("records", source, row["sk"], place, row.get("rev", 1), row["body"])
                sk = held_sk(case.id, name, index)
                body = writer.seal("records", target, sk, chunk_attribute(index, len(rows)), 1, plain)
                item = {"pk": target, "sk": sk, "kind": "held", "body": body, "hold": hold["hold"], "origin": row["sk"]}
                ports.records.put({**item, "ttl": _term(case)})
                count += 1
    return count


Whole = tuple[str, list[Item], list[str]]
"""A record's name, its rows in order, and what each is bound to. Expired and torn ones are left out."""


def _records(ports: Ports, pk: str, kind: str) -> Iterator[Whole]:
    for page in pages(ports.records, pk, record_sk(kind, ""), expired=True):
        for head in page:
            if "chunks" not in head or head["ttl"] <= ports.now():
                continue
            rest = ports.records.query(pk, chunks_of(head)) if head["chunks"] > 1 else []
            if len(rest) == head["chunks"] - 1:
                rows = [head, *rest]
                yield head["sk"], rows, [attribute(head, index) for index in range(len(rows))]


def destroy(ports: Ports, case: Case) -> Result:
    """Destroy each frozen generation's keys; the tombstones' evidence goes into the case, as does an earlier one's."""
    if not case.destroying:
        return {}
    evidence = {}
    for subject, generation in case.get("generations").items():
        if subject in case.get("canary"):
            item = ports.wraps.destroy(case.project, subject, generation, ports.now(), case.id)
        elif generation and (found := ports.wraps.get(case.project, subject)):
            item = found
        else:
            continue
        tombstone = item.tombstones[generation]
        evidence[subject] = {
            "erased_at": tombstone.erased_at,
            "erased_by": tombstone.case_id,
            "wrap_sha256": {str(keyver): digest for keyver, digest in sorted(tombstone.wrap_sha256.items())},
            "key_arn": tombstone.key_arn,
        }
    ports.cases.keep(case, destroyed=evidence)
    return {}


def delete(ports: Ports, case: Case) -> Result:
    """Delete every catalogued store. Its figure is never below the inventory: a former run may have deleted already.

    What is seen once a former run was through has come since and is counted on top, unless its scan counted it. Answers
    `done`: not so where the time of one run was up, and the next one goes on with what is left.
    """
    if not case.destroying:
        return {"done": True}
    if "destroyed" not in case.facts:
        raise NotReady
    Consents(ports.requests).erased(case.project, case.subjects, case.get("inventory")["at"], ports.now())
    before, scanned, removed = case.get("removed", {}), case.get("residue", {}), {}
    until = ports.clock.monotonic() + STEP_SECONDS
    for store, eraser in erasers().items():
        try:
            seen = eraser.sweep(ports, case, delete=True, until=until).total()
        except OutOfTime:
            return {"done": False}
        counted = sum(case.get("inventory")["counts"].get(store, {}).values())
        new = max(0, seen - scanned.get(store, 0))
        removed[store] = before[store] + new if store in before else max(seen, counted)
    ports.cases.note(case, removed=removed)
    return {"done": True}


def recipients(ports: Ports, case: Case) -> Result:
    """Tell each recipient (GDPR Art. 19) and keep its answer: the register says what it does with an erasure."""
    if not case.destroying:
        return {}
    register = read_policy("processors")["processors"]
    names = case.get("inventory")["recipients"]
    if any(name not in register for name in names):
        raise UnknownRecipient
    now = ports.now()
    answers = [{"recipient": name, "answer": register[name]["erasure"], "at": now} for name in names]
    ports.cases.keep(case, recipients=answers)
    return {}


def residue_scan(ports: Ports, case: Case) -> Result:
    """Look for anything that is left, everywhere, and try the canary. What is found is deleted and looked for again."""
    if not case.destroying:
        return {}
    before = case.get("residue", {})
    found = _look(ports, case)
    # Written down before it is deleted: a run that ends in between must not make it look as if nothing had been there.
    worst = {store: max(found[store], before.get(store, 0)) for store in erasers()}
    case = ports.cases.note(case, residue=worst)
    _clear(ports, case, found)
    return {}


def late_residue_scan(ports: Ports, case: Case) -> Result:
    """The same after the longest function timeout: what a writer left that was killed after the first scan."""
    if case.status != COMPLETED and not case.waiting:
        return {}
    found = _look(ports, case)
    removed = max(found.total(), case.get("late", {}).get("removed", 0))
    case = ports.cases.note(case, late={"at": ports.now(), "removed": removed})
    _clear(ports, case, found)
    return {"removed": found.total()}


def _look(ports: Ports, case: Case) -> Counter[str]:
    return Counter({store: eraser.sweep(ports, case, scan=True).total() for store, eraser in erasers().items()})


def _clear(ports: Ports, case: Case, found: Counter[str]) -> None:
    if not found.total():
        return
    for store, eraser in erasers().items():
        if found[store]:
            eraser.sweep(ports, case, scan=True, delete=True)
    if _look(ports, case).total():
        raise ResidueFound
