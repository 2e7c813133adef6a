"""The tasks of an export: take the case up, collect everything, certify. Each is idempotent; the last upload wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatapi.catalogue import catalogue, read_policy
from chatapi.certificates import VERSION
from chatapi.store.case_states import CANCELLED, COMMIT, COMPLETED
from chatapi.store.cases import Case, NotAllowed
from privacy.exports.archive import Archive
from privacy.exports.exporters import Scope, exporters, recipients, scope_of
from privacy.exports.page import page
from privacy.exports.ports import Ports
from privacy.tasks.outcomes import accounted
from privacy.tasks.ports import NotReady, Result, SubjectBusy
from privacy.tasks.short import conclude, mark_failed, take_up

TYPES = ("access", "portability")
LIFE_SECONDS = 7 * 86400


def begin(ports: Ports, case: Case) -> Result:
    """Take the case up, and find who else the data subject is. Answers `go`: not so where it has ended."""
    return take_up(ports, case, TYPES)


def collect(ports: Ports, case: Case) -> Result:
    """Write the whole export. Where an erasure came in between it is not published: SubjectBusy, worth another try."""
    if case.status == COMPLETED or "export" in case.facts:
        return {}
    if "subjects" not in case.facts:
        raise NotReady
    scope, now = scope_of(ports, case), ports.now()
    key = f"{case.project}/{case.subject}/{case.id}.zip"
    sink = ports.uploads.begin(key)
    try:
        counts = _write(ports, scope, Archive(sink, now), now)
        if not all(ports.vault.still_open(handle) for handle in scope.handles.values() if handle):
            raise SubjectBusy
        sink.commit()
    except BaseException:
        sink.abort()
        raise
    ports.cases.keep(case, export={"key": key, "counts": counts, "at": now, "expires": now + LIFE_SECONDS})
    return {}


def _write(ports: Ports, scope: Scope, archive: Archive, now: int) -> dict[str, int]:
    counts = {kind: export(ports, scope, archive) for kind, export in exporters().items()}
    text = page(scope.case, now, list(archive.files), recipients(ports, scope))
    with archive.file("index.html", "This page.") as out:
        out.write(text.encode())
    facts = {
        "version": VERSION,
        "request": scope.case.id,
        "type": scope.case.type,
        "made_at": now,
        "policy_version": read_policy("versions")["current"],
    }
    archive.finish(facts, ports.signer)
    return counts


def certify(ports: Ports, case: Case) -> Result:
    """Complete the case with its receipt."""
    if case.status in (COMPLETED, CANCELLED):
        return {}
    if "export" not in case.facts:
        raise NotReady
    try:
        case = ports.cases.act(case, COMMIT)
    except NotAllowed as standing:
        if standing.case.status != CANCELLED:
            raise
        return {}
    return conclude(ports, case, _stores(case))


def _stores(case: Case) -> list[dict[str, Any]]:
    counts, lines = case.get("export")["counts"], []
    for store in catalogue().stores:
        kinds = [kind for kind in catalogue().of_store(store) if kind.export]
        count = sum(counts.get(kind.name, 0) for kind in kinds)
        reason = "looked for, and in the export" if kinds else "holds nothing that is exported"
        lines.append(accounted(store, "exported", count, reason))
    return lines


TASKS: Mapping[str, Callable[[Ports, Case], Result]] = {
    "begin": begin,
    "collect": collect,
    "certify": certify,
    "mark_failed": mark_failed,
}
