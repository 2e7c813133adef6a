"""What became of each store. Every store of the catalogue has a line: silence would say nothing."""

from __future__ import annotations

from typing import Any

from chatapi.catalogue import catalogue, read_policy
from chatapi.certificates import VERSION
from chatapi.store.case_states import IRREVERSIBLE
from chatapi.store.cases import Case

_DAY = 86_400
_NO_DATA = "holds no data of a data subject"
_LOOKED = "looked for, and nothing was there"
_SHREDDED = "the wrapped data keys were destroyed; a tombstone without personal data is left"
_DELETED = "deleted; a residue scan found nothing left"


def per_store(case: Case) -> list[dict[str, Any]]:
    """One line `{store, outcome, count, reason}` per store, one more where something is held in it."""
    return [line for store in catalogue().stores for line in _lines(case, store)]


def frame(case: Case, stores: list[dict[str, Any]], now: int) -> dict[str, Any]:
    """What every certificate and receipt of a case says: which case, of whom, store by store, and when."""
    return {
        "version": VERSION,
        "type": case.type,
        "request": case.id,
        "project": case.project,
        "subjects": [{"subject": name} for name in case.subjects],
        "stores": stores,
        "received_at": case.created,
        "completed_at": now,
        "policy_version": read_policy("versions")["current"],
        "canary": None,
    }


def irrecoverable_after(now: int) -> int:
    """When what is deleted `now` is out of every backup (policy/retention.toml)."""
    return now + _DAY * int(read_policy("retention")["backups"]["records_days"])


def so_far(case: Case) -> list[dict[str, Any]]:
    """The same for a case that has failed: what was not confirmed counts as failed. Empty where nothing was begun."""
    if case.stage != IRREVERSIBLE:
        return []
    lines = per_store(case)
    for line in lines:
        confirmed = "destroyed" if line["store"] == "vault" else "residue"
        if line["outcome"] in ("deleted", "shredded", "nothing_found") and confirmed not in case.facts:
            line.update(outcome="failed", reason="not confirmed")
    return lines


def accounted(store: str, outcome: str, count: int, reason: str) -> dict[str, Any]:
    """A store's line: `outcome` where there was anything, else that nothing was found."""
    return {"store": store, "outcome": outcome if count else "nothing_found", "count": count, "reason": reason}


def public(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines as the API shows them: `{store, outcome, count}`."""
    return [{name: line[name] for name in ("store", "outcome", "count")} for line in lines]


def _lines(case: Case, store: str) -> list[dict[str, Any]]:
    kinds = catalogue().of_store(store)
    if store == "vault":
        shredded = sum(e["erased_by"] == case.id for e in case.get("destroyed", {}).values())
        return [accounted(store, "shredded", shredded, _SHREDDED if shredded else _LOOKED)]
    if store == "requests":
        return [accounted(store, "held", 1 + len(case.get("holds", ())), _why("case"))]
    if not any(kind.erase == "delete" for kind in kinds) and store != "exports":
        return [accounted(store, "deleted", 0, "; ".join(kind.why for kind in kinds) or _NO_DATA)]
    count = case.get("removed", {}).get(store, 0) + case.get("residue", {}).get(store, 0)
    lines = [accounted(store, "deleted", count, _DELETED if count else _LOOKED)]
    if store == "records" and case.get("held"):
        lines.append(accounted(store, "held", case.get("held"), _why("held")))
    return lines


def _why(kind: str) -> str:
    return catalogue().kinds[kind].why
