"""The wire models of the data-rights API: strict, bounded, and refusals that name known fields alone."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, model_validator

from chatapi.bodies import Strict, parsed
from chatapi.deadlines import acknowledge_by, ccpa_due
from chatapi.errors import BadRequest
from chatapi.store.cases import CANCEL, REVERSIBLE, Case
from privacy.explanations import explained
from privacy.tasks.outcomes import public

MAX_BODY_BYTES = 16 * 1024
OFFERED = ("access", "portability", "erasure")
_FIELDS = frozenset({"type", "subject", "user", "owner", "purpose", "state"})
_TEXTS = {"subject": "Select with exactly one of user and owner."}


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("owner is true or absent")
    return value


class Subject(Strict):
    """Who: exactly one of an end user's id, as the project's requests carried it, and the project's owner."""

    user: Annotated[str, Field(min_length=1, max_length=512)] = ""
    owner: Annotated[bool, AfterValidator(_true)] = False  # Literal[True] would take 1 for true

    @model_validator(mode="after")
    def _one_selector(self) -> Subject:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of user and owner")
        return self


class PrivacyRequest(Strict):
    """The body of `POST /v1/privacy/requests`."""

    type: str
    subject: Subject


class SessionRequest(Strict):
    """The body of `POST /v1/privacy/sessions`."""

    subject: Subject


class Choice(Strict):
    """The body of `POST /v1/privacy/consents`."""

    subject: Subject
    purpose: Annotated[str, Field(max_length=64)]
    state: Annotated[str, Field(max_length=16)]


_Model = TypeVar("_Model", bound=Strict)


def parse(body: bytes) -> PrivacyRequest:
    """The request in a body. RequestTooLarge above 16 KiB; BadRequest with the path of the first wrong field."""
    request = _parsed(PrivacyRequest, body)
    if request.type not in OFFERED:
        raise BadRequest(
            "This type of request is not offered. Offered: " + ", ".join(OFFERED) + ".",
            code="unsupported_type",
            param="type",
        )
    return request


def parse_session(body: bytes) -> SessionRequest:
    """Whom a portal link, or a question about consents, is for; refusals as those of `parse`."""
    return _parsed(SessionRequest, body)


def parse_choice(body: bytes) -> Choice:
    """What a data subject chose; refusals as those of `parse`."""
    return _parsed(Choice, body)


def _parsed(model: type[_Model], body: bytes) -> _Model:
    return parsed(model, body, known=_FIELDS, most=MAX_BODY_BYTES, texts=_TEXTS)


def show(case: Case) -> dict[str, Any]:
    """A case on the wire. Times in POSIX seconds; it never says who the data subject is."""
    return {
        "id": case.id,
        "object": "privacy.request",
        "type": case.type,
        "status": case.status,
        "created_at": case.created,
        "due_at": int(case.get("due")),
        "completed_at": case.get("completed"),
        "stores": public(case.get("stores", [])),
        **explained(case),
        "clocks": {
            "gdpr": {"due_at": int(case.get("due")), "extended": "extended" in case.facts},
            "ccpa": {"acknowledge_by": int(acknowledge_by(case.created)), "due_at": int(ccpa_due(case.created))},
        },
        "cancellable": case.stage == REVERSIBLE and case.status in CANCEL.source,
    }
