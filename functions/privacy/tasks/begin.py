"""The reversible half: who, what stands against it, freeze, inventory, and the commit. Nothing is lost before that.

A run that starts again finds the facts anew until the commit; from there on they stand.
"""

from __future__ import annotations

import os

from chatapi.store.aliases import aliases
from chatapi.store.case_states import (
    CANCELLED,
    COMPLETED,
    FAIL,
    FAILED,
    IN_PROGRESS,
    IRREVERSIBLE,
    ON_HOLD,
    REVERSIBLE,
    START,
)
from chatapi.store.cases import Case, NotAllowed
from chatapi.store.holds import Holds, holdable, sealed_anew
from chatapi.store.items import Item, pages
from chatapi.store.keys import DAY, UNDATED, recipient_of, subject_pk
from chatapi.vault import (
    Conflict,
    InvalidCiphertext,
    State,
    SubjectErased,
    SubjectFrozen,
    TenantKeyUnavailable,
    VaultItem,
)
from privacy.tasks.erasers import erasers
from privacy.tasks.outcomes import so_far
from privacy.tasks.ports import NotReady, Ports, Result, SubjectBusy, UnsupportedHold

CANARY_BYTES = 32


def _gathering(case: Case) -> bool:
    """Whether facts may still be gathered. A later run, a cancelled or a finished case passes through."""
    return case.status == IN_PROGRESS and case.stage == REVERSIBLE


def verify(ports: Ports, case: Case) -> Result:
    """Take the case up, and find who else the data subject is: the aliases that its chats gave.

    Answers `held`: all but a held part was erased before, and the holds are what is to look at; and `grace`: for how
    many seconds it can still be taken back before anything is frozen.
    """
    if case.type != "erasure":
        raise NotReady
    passed: Result = {"held": case.waiting, "grace": 0}
    if case.waiting or case.status in (COMPLETED, CANCELLED):
        return passed
    try:
        case = ports.cases.act(case, START)
    except NotAllowed as standing:
        if standing.case.status in (COMPLETED, CANCELLED):
            return passed
        raise NotReady from None
    if _gathering(case):
        passed["grace"] = max(0, case.created + case.get("grace", 0) - ports.now())
        others = aliases(ports.records, case.project, case.subject)
        ports.cases.gather(case, subjects=[case.subject, *sorted(others)])
    return passed


def holds(ports: Ports, case: Case) -> Result:
    """Copy the active legal holds into the case (GDPR Art. 17(3)). UnsupportedHold where one cannot be honoured."""
    if _gathering(case):
        ports.cases.gather(case, holds=_in_force(ports, case))
    return {}


def _in_force(ports: Ports, case: Case) -> list[Item]:
    active = []
    for subject in case.subjects:
        for hold in Holds(ports.requests).in_force(case.project, subject, ports.now()):
            if not all(holdable(kind) for kind in hold["kinds"]):
                raise UnsupportedHold
            copied = {name: hold[name] for name in ("kinds", "basis", "owner", "review", "expires")}
            active.append({"hold": hold["sk"], "subject": subject, **copied})
    return active


def freeze(ports: Ports, case: Case) -> Result:
    """Stop every writer of the subject, after sealing the canaries that the certificate will show as unreadable."""
    if not _gathering(case):
        return {}
    generations: dict[str, int] = {}
    canary: dict[str, bytes] = {}
    for subject in case.subjects:
        item = ports.wraps.get(case.project, subject)
        generations[subject] = item.generation if item else 0
        if item and item.state is not State.ERASED:
            canary[subject] = _canary(ports, case, item)
    case = ports.cases.gather(case, generations=generations, canary=canary)
    if not _gathering(case):
        return {}
    for subject in sorted(case.get("canary")):  # in one order, so that two cases never wait for each other in a circle
        try:
            ports.wraps.freeze(case.project, subject, case.get("generations")[subject], case.id)
        except Conflict:  # another case froze or erased it meanwhile
            raise SubjectBusy from None
    return {}


def _canary(ports: Ports, case: Case, item: VaultItem) -> bytes:
    """A secret sealed under the subject's key; the one that stands, where an earlier run of this case froze it. Empty
    where nothing opens the key, a damaged wrap or one under a tenant's KMS key that refuses: what cannot be read must
    still be erasable."""
    if item.state is State.FROZEN:
        fresh = ports.cases.get(case.project, case.id)
        sealed = fresh.get("canary", {}).get(item.subject)
        if item.frozen_by != case.id or sealed is None:
            raise SubjectBusy
        return bytes(sealed)
    try:
        handle = ports.vault.reader(case.project, item.subject, item.generation)
        return handle.seal("canary", case.id, item.subject, "canary", 1, os.urandom(CANARY_BYTES))
    except (SubjectErased, SubjectFrozen):
        raise SubjectBusy from None
    except (InvalidCiphertext, TenantKeyUnavailable):
        return b""


def unfreeze(ports: Ports, case: Case) -> Result:
    """Let the writers go on, of a case that was cancelled, denied, paused or failed while all could be taken back."""
    if case.status not in (CANCELLED, FAILED, ON_HOLD) or case.stage == IRREVERSIBLE:
        return {}
    for subject in case.subjects:
        item = ports.wraps.get(case.project, subject)
        if item and item.state is State.FROZEN and item.frozen_by == case.id:
            ports.wraps.unfreeze(case.project, subject, item.generation, case.id)
    return {}


def inventory(ports: Ports, case: Case) -> Result:
    """Count what there is, store by store, and note who received data: afterwards nobody can tell any more."""
    if not _gathering(case):
        return {}
    counts = {store: dict(eraser.sweep(ports, case)) for store, eraser in erasers().items()}
    recipients = {
        recipient_of(row["sk"])
        for subject in case.subjects
        for page in pages(ports.records, subject_pk(case.project, subject, UNDATED), DAY, expired=True)
        for row in page
    }
    ports.cases.gather(case, inventory={"at": ports.now(), "counts": counts, "recipients": sorted(recipients)})
    return {}


def commit(ports: Ports, case: Case) -> Result:
    """The point of no return. Answers `cancelled`: a case that was cancelled in time goes no further.

    Holds are looked at once more: one that was added since is honoured. One that is added in this very moment makes the
    task begin anew, or is told that it comes too late (`chatapi.store.holds.announce`).
    """
    if case.status == COMPLETED or case.waiting:
        return {"cancelled": False}
    if _gathering(case):
        found = _in_force(ports, case)
        if any(_unreadable(case, hold) for hold in found):
            raise UnsupportedHold
        if found != case.get("holds"):
            inventory(ports, ports.cases.gather(case, holds=found))  # what a hold keeps is not counted as deleted
    try:
        ports.cases.commit(case)
    except NotAllowed as standing:
        if standing.case.status not in (COMPLETED, CANCELLED):
            raise NotReady from None
        return {"cancelled": standing.case.status == CANCELLED}
    return {"cancelled": False}


def _unreadable(case: Case, hold: Item) -> bool:
    """Whether a hold keeps what has to be sealed anew, and nothing opens it now."""
    return case.get("canary", {}).get(hold["subject"]) == b"" and any(map(sealed_anew, hold["kinds"]))


def mark_failed(ports: Ports, case: Case) -> Result:
    """Say so, unless the case has ended; while everything can be taken back, let the writers go on."""
    try:
        case = ports.cases.act(case, FAIL, stores=so_far(case))
    except NotAllowed as standing:
        case = standing.case
    return unfreeze(ports, case)
