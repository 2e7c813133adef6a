"""Completion (GDPR Art. 16): a statement of the person's own is kept beside a record, under the same key and until the
record's end. It goes where the record goes: into the person's copy, and away with it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from chatapi.errors import SubjectErased
from chatapi.store.cases import Case
from chatapi.store.records import Stale
from chatapi.vault import SubjectFrozen
from privacy.changes.correct import NOTHING, Standing, find, handed_in
from privacy.changes.ports import Ports
from privacy.tasks.ports import SubjectBusy

STATEMENT = "statement"
KEPT = "kept_beside"


def complete(ports: Ports, case: Case) -> dict[str, Any]:
    """Keep what was handed in; the facts of the case: `{changes, made}`."""
    handle, asked = handed_in(ports, case)
    shown = []
    try:
        for number, statement in enumerate(asked if handle else ()):
            found = find(ports, case, statement["record"], None)
            if found is not None:
                _keep(ports, case, found, number, statement["text"])
            outcome = KEPT if found is not None else NOTHING
            shown.append({"record": statement["record"], "outcome": outcome, "before": None, "after": None})
    except SubjectFrozen:
        raise SubjectBusy from None
    except SubjectErased:
        shown = []
    return {"changes": shown, "made": sum(line["outcome"] == KEPT for line in shown)}


def _keep(ports: Ports, case: Case, found: Standing, number: int, text: str) -> None:
    body = json.dumps({"request": case.id, "at": ports.now(), "text": text}, separators=(",", ":")).encode()
    name = f"{case.id}_{number}"
    with suppress(Stale):  # a former run kept it
        ports.kept.put(
            found.handle, STATEMENT, [(name, body)], parent=found.id, until=found.record.expires, absent=True
        )
