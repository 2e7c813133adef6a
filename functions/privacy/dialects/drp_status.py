"""A case in the words of the Data Rights Protocol (sections 3.02 and 3.03)."""

from __future__ import annotations

from typing import Any

from chatapi.clock import iso
from chatapi.store.case_states import CANCELLED, CLOSED, COMPLETED, FAILED, ON_HOLD, RECEIVED, REVERSIBLE
from chatapi.store.cases import Case
from privacy.dialects.bindings import Binding
from privacy.explanations import explained

_DENIED = {
    "identity_not_established": "insuf_verification",
    "excessive": "too_many_requests",
    "not_applicable": "claim_not_covered",
}
NO_SALE = "Personal data is never sold, rented or shared for marketing, so there is nothing to opt out of or into."
ASKED_ELSEWHERE = "The request was answered."


def word(case: Case) -> str:
    """A case's status, and its reason after a slash, in the protocol's words (section 3.02)."""
    if case.status == COMPLETED:
        return "fulfilled"
    if case.status == CANCELLED:
        return "revoked"
    if case.status == FAILED and case.stage == CLOSED:
        return "denied/" + _DENIED.get(str(case.get("reason")), "other")
    if case.status == ON_HOLD and case.stage == REVERSIBLE:
        return "in_progress/need_user_verification"
    return "open" if case.status == RECEIVED else "in_progress"


def status_of(binding: Binding, case: Case) -> dict[str, Any]:
    """Section 3.03: the status, as an answer and as a callback."""
    status, _, reason = word(case).partition("/")
    shown: dict[str, Any] = {
        "request_id": binding.external,
        "received_at": iso(binding.created),
        "expected_by": iso(int(case.get("due"))),
        "status": status,
        "processing_details": explained(case)["explanation"],
    }
    if binding.reference:
        shown["agent_request_id"] = binding.reference
    if reason:
        shown["reason"] = reason
    if reason == "need_user_verification":
        shown["user_verification_url"] = binding.root + "/portal"
    if case.get("purpose") == "sale" or reason == "claim_not_covered":
        shown["processing_details"] = NO_SALE
    elif status == "fulfilled":
        shown["processing_details"] = ASKED_ELSEWHERE
    return shown
