"""The certificate: its body frozen once, its ledger entry appended once, signed once. Every run gives the same bytes.

body ─▶ case (if none stands) ─▶ opening, intent ─▶ case ─▶ ledger ─▶ signature ─▶ case (if none stands), completed
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

from chatapi.certificates import canonical, issue
from chatapi.ledger import commit, proof
from chatapi.store.case_states import COMPLETE, COMPLETED, HOLD
from chatapi.store.cases import Case, NotAllowed
from privacy.tasks.outcomes import frame, irrecoverable_after, per_store
from privacy.tasks.ports import NotReady, Ports, Result, Work
from privacy.tasks.tell import line
from privacy.tasks.timers import watch_holds

EVENT = "erasure.completed"
_NEEDED = ("inventory", "destroyed", "removed", "recipients", "residue")
_NOTES = [
    "A function that was running when the keys were destroyed may hold an unwrapped key in memory; it refuses every "
    "read since, uses no key for longer than 300 seconds and loses it with its next request.",
    "Copies in the point-in-time recovery of the records are unreadable since the keys were destroyed, and gone at "
    "irrecoverable_after; the keys themselves are in no backup.",
    "A second residue scan follows after the longest time that a function can still have been writing.",
]
UNOPENED = (
    "A wrapped key could not be opened at this erasure, since it was damaged or its project's own KMS key refused: so "
    "no canary could be sealed under it. It was destroyed like any other."
)


def certify(ports: Ports, case: Case) -> Result:
    """Complete the case with its certificate. Answers how long the late residue scan has to wait."""
    wait = {"late_writer_seconds": ports.late_writer_seconds}
    if case.status == COMPLETED or case.waiting:
        return wait
    if not case.destroying or any(fact not in case.facts for fact in _NEEDED):
        raise NotReady
    case = issue_once(ports, case, _body(case, per_store(case), ports.now()), EVENT)
    body = json.loads(case.get("payload"))
    facts = {"completed": body["completed_at"], "stores": body["stores"]}
    if case.get("held"):
        # Not the end: what is held is erased when the last hold has ended, without anyone asking (RGT-6).
        act, facts = HOLD, {**facts, "completed": None, **watch_holds(ports, case)}
    else:
        act = COMPLETE
    try:
        ports.cases.act(case, act, **facts)
    except NotAllowed as standing:
        if standing.case.status != act.target:
            raise
    return wait


def issue_once(ports: Work, case: Case, body: dict[str, Any], event: str, prefix: str = "") -> Case:
    """Freeze a certificate's body, append its ledger entry, sign it: each once, whatever is repeated. The case carries
    `payload`, `opening`, `intent` and `certificate` afterwards, each behind `prefix`."""
    payload, opening, intent = prefix + "payload", prefix + "opening", prefix + "intent"
    case = ports.cases.keep(case, **{payload: canonical(body), opening: os.urandom(32)})
    frozen = json.loads(case.get(payload))

    def intend(old: int | None, new: int) -> int:
        return int(ports.cases.exchange(case, intent, old, new).get(intent))

    commitment = commit(case.get(opening), hashlib.sha256(case.get(payload)).digest())
    at = frozen["completed_at"]
    entry = ports.ledger.append(event, at, commitment, intent=case.get(intent), intend=intend)
    certificate = issue({**frozen, "ledger": proof(entry, case.get(opening))}, ports.signer)
    return ports.cases.keep(case, **{prefix + "certificate": certificate})


def _body(case: Case, stores: list[dict[str, Any]], now: int) -> dict[str, Any]:
    destroyed, generations = case.get("destroyed"), case.get("generations")
    return {
        **frame(case, stores, now),
        "subjects": [_subject(name, generations[name], destroyed.get(name)) for name in case.subjects],
        "holds": case.get("holds", []),
        "recipients": [*case.get("recipients"), *line(case)],
        "irrecoverable_after": irrecoverable_after(now),
        "notes": [*_NOTES, *([UNOPENED] if b"" in case.get("canary").values() else [])],
        "canary": _canary(case),
    }


def _subject(name: str, generation: int, evidence: dict[str, Any] | None) -> dict[str, Any]:
    nothing: dict[str, Any] = {"erased_at": None, "erased_by": None, "wrap_sha256": {}, "key_arn": None}
    return {"subject": name, "generation": generation, **(evidence or nothing)}


def _canary(case: Case) -> dict[str, Any] | None:
    """What was sealed under a key before it was destroyed, and was shown by the residue scan not to open any more.
    Empty where no key could be opened for it."""
    for subject, sealed in sorted(case.get("canary").items(), key=lambda canary: (not canary[1], canary[0])):
        return {"subject": subject, "ciphertext": base64.b64encode(sealed).decode(), "opens": False}
    return None
