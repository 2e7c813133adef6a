"""What a status tells the data subject: what, why, until when (GDPR Art. 12). Fixed texts of policy/rights.toml."""

from __future__ import annotations

from typing import Any

from chatapi.catalogue import read_policy
from chatapi.store.case_states import CLOSED, COMPLETED, FAILED, IN_PROGRESS, IRREVERSIBLE, ON_HOLD, RECEIVED
from chatapi.store.cases import Case


def explained(case: Case) -> dict[str, Any]:
    """`{reason, until, explanation, complain}` of a case. `until` in POSIX seconds: when this state ends at the latest,
    None where it does not end by itself. `complain`: for a denial (RGT-9), None otherwise."""
    texts, denials = read_policy("rights")["explanations"], read_policy("rights")["denials"]
    due = int(case.get("due"))
    if case.status == FAILED and case.stage == CLOSED:
        reason = str(case.get("reason"))
        return _told(reason, None, denials[reason], read_policy("rights")["controller"]["complain"])
    if case.status == FAILED:
        return _told("fault", due, texts["fault"])
    if case.status == ON_HOLD:
        reason = str(case.get("reason"))
        return _told(reason, case.get("until"), texts[reason])
    if case.status in (RECEIVED, IN_PROGRESS):
        words = [texts["irreversible" if case.stage == IRREVERSIBLE else case.status]]
        if extension := case.get("extended"):
            return _told(extension["reason"], due, " ".join([*words, texts["extended"]]))
        return _told(None, due, words[0])
    now = _standing(case)
    return _told(now, None, texts[now or case.status])


def _standing(case: Case) -> str | None:
    """What stands since a restriction was carried out (GDPR Art. 18(3)); None for all else."""
    if case.status != COMPLETED or case.type != "restriction" or not case.get("made"):
        return None
    return "restricted" if case.get("restricted") else "lifted"


def _told(reason: str | None, until: int | None, explanation: str, complain: str | None = None) -> dict[str, Any]:
    return {"reason": reason, "until": until, "explanation": explanation, "complain": complain}
