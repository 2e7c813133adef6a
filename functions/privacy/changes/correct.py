"""Correction (GDPR Art. 16): texts of stored records are replaced, with commitments to what stood before and after.

    plan     found where? before, after and their openings ─▶ a sealed record, written once: every run goes by it
    apply    record by record: all its texts at once, a new revision, marks so that no backup brings back the old one
    forget   exports that were made before: they say what is not right any more

    commitment = SHA-256(lp(opening, SHA-256(lp("chatapi/correction/v1", record, path, text))))     (chatapi.ledger)

The commitments go into the receipt, and through it into the ledger. The openings lie under the person's key, go into
the person's own copy, and end with the key: a receipt that outlives an erasure proves nothing about a text.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chatapi.catalogue import read_policy
from chatapi.errors import Conflict, NotFound, SubjectErased
from chatapi.ids import token_of
from chatapi.ledger import commit
from chatapi.store.cases import Case
from chatapi.store.completions import Stored
from chatapi.store.records import Stale
from chatapi.store.sealed import Record
from chatapi.vault import SubjectFrozen, SubjectHandle, lp
from privacy.changes.desk import CHANGE
from privacy.changes.places import COMPLETION, CONTACT, ITEM, kind_of, text_at, write
from privacy.changes.ports import Ports
from privacy.tasks.ports import NotReady, SubjectBusy

AMENDMENT = "amendment"
CORRECTED, NOTHING = "corrected", "nothing_found"
_ROUNDS = 3

Place = tuple[str, str | None]
"""A record, and the conversation that it is an item of."""


@dataclass(frozen=True)
class Standing:
    """A record as it was read: with whom it lies, and what is in it."""

    kind: str
    id: str
    handle: SubjectHandle
    body: Any
    record: Record


def correct(ports: Ports, case: Case) -> dict[str, Any]:
    """Do what was handed in; the facts of the case: `{changes, made}`, `made` of them texts that were replaced."""
    handle, asked = handed_in(ports, case)
    if handle is None:
        return {"changes": [], "made": 0}
    try:
        plan = _planned(ports, case, handle, asked)
        wanted = [entry for entry in plan if entry["outcome"] == CORRECTED]
        for place in dict.fromkeys((entry["record"], entry["conversation"]) for entry in wanted):
            paths = {entry["path"] for entry in wanted if (entry["record"], entry["conversation"]) == place}
            of_it = (change for change in asked if (change["record"], change["conversation"]) == place)
            _apply(ports, case, place, [(c["path"], c["value"]) for c in of_it if c["path"] in paths])
    except SubjectFrozen:
        raise SubjectBusy from None  # an erasure: either it goes on, and there is nothing to correct, or it lets go
    except SubjectErased:
        return {"changes": [], "made": 0}
    if wanted:
        _forget_exports(ports, case)
    shown = [{name: entry[name] for name in ("record", "outcome", "before", "after")} for entry in plan]
    return {"changes": shown, "made": len(wanted)}


def handed_in(ports: Ports, case: Case) -> tuple[SubjectHandle | None, list[dict[str, Any]]]:
    """The person's handle, and what was handed in for a case; None where nothing is there to be changed: there never
    was, or an erasure came in between. NotReady where it should be there and is not."""
    name = case.get("deposit")
    if name is None:
        return None, []
    try:
        handle = ports.handle(case.project, case.subject)
        if handle is None or handle.generation != case.get("generations")[case.subject]:
            return None, []
        record = ports.kept.get(handle, CHANGE, name)
    except SubjectErased:
        return None, []
    except NotFound:
        raise NotReady from None
    return handle, json.loads(record.body)


def _planned(ports: Ports, case: Case, handle: SubjectHandle, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What will be done, text by text. The first run's plan stands: later ones would read what was changed already."""
    with suppress(NotFound):
        return list(json.loads(ports.kept.get(handle, AMENDMENT, case.id).body)["changes"])
    plan = []
    for change in asked:
        entry = {name: change[name] for name in ("record", "conversation", "path")}
        found = find(ports, case, change["record"], change["conversation"])
        text = text_at(found.body, change["path"]) if found else None
        if text is None:
            plan.append({**entry, "outcome": NOTHING, "before": None, "after": None})
            continue
        openings = {"before_opening": os.urandom(32).hex(), "after_opening": os.urandom(32).hex()}
        before = commitment(openings["before_opening"], change["record"], change["path"], text)
        after = commitment(openings["after_opening"], change["record"], change["path"], change["value"])
        plan.append({**entry, "outcome": CORRECTED, "before": before, "after": after, **openings})
    body = json.dumps({"request": case.id, "at": ports.now(), "changes": plan}, separators=(",", ":")).encode()
    try:
        ports.kept.put(handle, AMENDMENT, [(case.id, body)], absent=True)
    except Stale:  # two at once: the other one's
        return list(json.loads(ports.kept.get(handle, AMENDMENT, case.id).body)["changes"])
    return plan


def commitment(opening: str, record: str, path: str, text: str) -> str:
    """The commitment to a text at a place, in hexadecimal as its opening is."""
    digest = hashlib.sha256(lp("chatapi/correction/v1", record, path, text)).digest()
    return commit(bytes.fromhex(opening), digest).hex()


def find(ports: Ports, case: Case, record: str, conversation: str | None) -> Standing | None:
    """A record of the case's data subjects. None where there is none, or it is somebody else's: not told apart."""
    kind, project = kind_of(record), case.project
    try:
        if kind == ITEM:
            return _item(ports, case, record, conversation or "")
        handle, found = ports.kept.find(project, str(kind), record)
    except (NotFound, SubjectErased):
        return None
    if handle.subject not in case.subjects:
        return None
    body = {"address": found.body.decode()} if kind == CONTACT else json.loads(found.body)
    return Standing(str(kind), record, handle, body, found)


def _item(ports: Ports, case: Case, item: str, conversation: str) -> Standing | None:
    if token_of("conv_", conversation) is None:
        return None
    for subject in case.subjects:
        handle = ports.handle(case.project, subject)
        if handle is None:
            continue
        with suppress(NotFound):
            record = ports.kept.get(handle, ITEM, item.rpartition("_")[2], parent=conversation)
            body = json.loads(record.body)
            if body["id"] == item:
                return Standing(ITEM, item, handle, body, record)
    return None


def _apply(ports: Ports, case: Case, place: Place, values: list[tuple[str, str]]) -> None:
    """All texts of one record. It may be gone by now: then there is nothing left that could be wrong."""
    told = False
    for _ in range(_ROUNDS):
        found = find(ports, case, *place)
        if found is None:
            return
        former = found.body["address"] if found.kind == CONTACT else None
        written = [write(found.body, path, value) for path, value in values]
        if not any(written):
            return
        if former is not None and former != found.body["address"] and not told:
            _tell_former(ports, former)  # before it is gone: rather twice, when this is tried again, than never
            told = True
        with suppress(Stale):
            if found.kind == COMPLETION:
                metadata = found.body["completion"].get("metadata") or {}
                stored, tags = Stored(found.handle, found.record), ports.tags(case.project, metadata)
                ports.completions.replace(stored, _packed(found), tags=tags)
            else:
                ports.kept.update(found.handle, found.record, _packed(found))
            return
    raise Conflict


def _tell_former(ports: Ports, address: str) -> None:
    """Tell the owner, where they were reached until now, that their address is replaced: somebody else may have asked.
    The new one is not said. AwsError."""
    texts = read_policy("rights")["contact_changed"]
    if ports.mail is not None:
        ports.mail.send(address, texts["subject"], texts["text"].format(**read_policy("rights")["controller"]))


def _packed(found: Standing) -> bytes:
    if found.kind == CONTACT:
        return str(found.body["address"]).encode()
    return json.dumps(found.body, separators=(",", ":"), ensure_ascii=found.kind != COMPLETION).encode()


def _forget_exports(ports: Ports, case: Case) -> None:
    for subject in case.subjects:
        prefix = f"{case.project}/{subject}/"
        ports.exports.delete([key for key in ports.exports.list(prefix) if not key.startswith(prefix + "import-")])


def tidy(ports: Ports, case: Case) -> None:
    """Forget what was handed in: it is done."""
    if case.get("deposit") and (handle := ports.handle(case.project, case.subject)):
        with suppress(SubjectFrozen):
            ports.kept.delete(handle, CHANGE, case.get("deposit"))
