"""The wire models of the data-rights API: strict, bounded, and refusals that name known fields alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from chatapi.bodies import parsed
from chatapi.deadlines import acknowledge_by, ccpa_due
from chatapi.errors import BadRequest
from chatapi.mail import is_address
from chatapi.store.case_states import CANCEL, REVERSIBLE
from chatapi.store.cases import Case
from chatapi.strict import Strict
from privacy.changes.places import COMPLETION, CONTACT, CONVERSATION, ITEM, RESPONSE, fits, is_place, kind_of
from privacy.explanations import explained
from privacy.tasks.outcomes import public

MAX_BODY_BYTES = 16 * 1024
OFFERED = ("access", "portability", "erasure", "correction", "completion", "restriction", "objection", "import")
MOST_CHANGES = 20
MOST_ARCHIVE_BYTES = 32 * 1024 * 1024
_DETAILS = {
    "correction": ("changes",),
    "completion": ("statements",),
    "restriction": ("restricted",),
    "objection": ("purpose",),
    "import": ("archive",),
}
_TEXTS = {
    "subject": "Select with exactly one of user and owner.",
    "changes": f"A request has at most {MOST_CHANGES} changes.",
    "changes[]": "record, path and conversation name no text that can be corrected, or value does not fit there.",
    "statements": f"A request has at most {MOST_CHANGES} statements.",
    "statements[]": "A statement stands beside a completion, a response or a conversation.",
}
_RECORD = "^[A-Za-z0-9_-]{1,128}$"
_Absent = SkipJsonSchema[None]  # what has no null is not described with one


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("owner is true or absent")
    return value


class Subject(Strict):
    """Who: exactly one of an end user's id, as the project's requests carried it, and the project's owner."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    # Defaults by a factory are not in the description, and these cannot be sent.
    user: Annotated[
        str, Field(min_length=1, max_length=512, description="The value of `user` or `safety_identifier` in chats")
    ] = Field(default_factory=str)
    # Literal[True] would take 1 for true.
    owner: Annotated[bool, AfterValidator(_true), Field(json_schema_extra={"const": True})] = Field(
        default_factory=bool
    )

    @model_validator(mode="after")
    def _one_selector(self) -> Subject:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of user and owner")
        return self


_Selected = Annotated[Subject, Field(description="Exactly one selector")]


class Change(Strict):
    """A text of a stored record to be corrected: `path` is a JSON Pointer into the record as an export shows it;
    `conversation` names the one that an item is in."""

    record: Annotated[
        str,
        Field(
            pattern=_RECORD,
            description="The id of a stored completion, response, conversation or item; `contact` for the owner's "
            "address",
        ),
    ]
    path: Annotated[
        str,
        Field(
            max_length=256,
            description="A JSON Pointer (RFC 6901) to a text of the record as an export shows it, such as "
            "/messages/0/content",
        ),
    ]
    value: Annotated[str, Field(description="The right text")]
    conversation: Annotated[
        str | None, Field(pattern=_RECORD, description="For an item: the conversation that it is in")
    ] = None

    @model_validator(mode="after")
    def _of_a_text(self) -> Change:
        kind = kind_of(self.record)
        if kind is None or not is_place(kind, self.path) or not fits(self.path, self.value):
            raise ValueError("a text of a record that can be corrected")
        if (kind == ITEM) != (self.conversation is not None):
            raise ValueError("an item and its conversation")
        if kind == CONTACT and not is_address(self.value):
            raise ValueError("a mail address")
        return self


class Statement(Strict):
    """A statement to be kept beside a stored record."""

    record: Annotated[
        str, Field(pattern=_RECORD, description="The id of a stored completion, response or conversation")
    ]
    text: Annotated[str, Field(min_length=1, max_length=8192)]

    @model_validator(mode="after")
    def _beside_a_record(self) -> Statement:
        if kind_of(self.record) not in (COMPLETION, RESPONSE, CONVERSATION):
            raise ValueError("a record that a statement can stand beside")
        return self


class Wish(Strict):
    """What is asked for, whoever it is for: the type of request, and what that type needs."""

    type: Annotated[str, Field(json_schema_extra={"enum": [*OFFERED]})]
    changes: Annotated[
        Annotated[list[Change], Field(min_length=1, max_length=MOST_CHANGES)] | _Absent,
        Field(
            description=f"For a correction: the texts to be replaced, up to {MOST_CHANGES}. They are personal data: "
            "sealed at once, and in no queue"
        ),
    ] = None
    statements: Annotated[
        Annotated[list[Statement], Field(min_length=1, max_length=MOST_CHANGES)] | _Absent,
        Field(description=f"For a completion: statements to be kept beside records, up to {MOST_CHANGES}"),
    ] = None
    restricted: Annotated[bool, Field(description="For a restriction: true restricts, false lifts it")] = True
    purpose: Annotated[
        Annotated[str, Field(max_length=64)] | _Absent, Field(description="For an objection: an optional purpose")
    ] = None
    archive: Annotated[
        Annotated[str, Field(pattern="^imp_[0-9A-Za-z]{24}$")] | _Absent,
        Field(description="For an import: the name of the archive that was put"),
    ] = None

    def content(self) -> list[dict[str, Any]] | None:
        """What is handed in at the desk: personal data. None where the type has none."""
        found = self.changes or self.statements
        return [entry.model_dump() for entry in found] if found else None


class PrivacyRequest(Wish):
    """The body of `POST /v1/privacy/requests`."""

    subject: _Selected


class SessionRequest(Strict):
    """The body of `POST /v1/privacy/sessions`."""

    subject: _Selected


class ImportRequest(Strict):
    """The body of `POST /v1/privacy/imports`: `size` of the archive in bytes."""

    subject: _Selected
    size: Annotated[int, Field(ge=1, le=MOST_ARCHIVE_BYTES, description="Bytes of the archive")]


class Choice(Strict):
    """The body of `POST /v1/privacy/consents`."""

    subject: _Selected
    purpose: Annotated[str, Field(max_length=64)]
    state: Annotated[str, Field(max_length=16)]


_MODELS = (PrivacyRequest, SessionRequest, ImportRequest, Choice, Subject, Change, Statement)
_FIELDS = frozenset(name for model in _MODELS for name in model.model_fields)
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
    return complete(request)


_W = TypeVar("_W", bound=Wish)


def complete(wish: _W) -> _W:
    """The same, if it has what its type needs and nothing else. BadRequest."""
    needed = _DETAILS.get(wish.type, ())
    for name in sorted(wish.model_fields_set - {"type", "subject", *needed}):
        raise BadRequest("This type of request has no such parameter.", code="unknown_parameter", param=name)
    for name in needed:
        if getattr(wish, name) is None:
            raise BadRequest("A required parameter is missing.", code="missing_required_parameter", param=name)
    places = [(change.record, change.conversation, change.path) for change in wish.changes or ()]
    if len(set(places)) < len(places):
        raise BadRequest("A text is corrected once in a request.", code="invalid_value", param="changes")
    return wish


def wish_of(fields: Mapping[str, Any]) -> Wish:
    """What a person asks for themselves, from the fields of a form; refusals as those of `parse`."""
    return complete(_parsed(Wish, json.dumps(fields, ensure_ascii=False).encode()))


def parse_session(body: bytes) -> SessionRequest:
    """Whom a portal link, or a question about consents, is for; refusals as those of `parse`."""
    return _parsed(SessionRequest, body)


def parse_import(body: bytes) -> ImportRequest:
    """For whom an archive is, and how large; refusals as those of `parse`."""
    return _parsed(ImportRequest, body)


def parse_choice(body: bytes) -> Choice:
    """What a data subject chose; refusals as those of `parse`."""
    return _parsed(Choice, body)


def _parsed(model: type[_Model], body: bytes) -> _Model:
    return parsed(model, body, known=_FIELDS, most=MAX_BODY_BYTES, texts=_TEXTS)


def result(case: Case) -> dict[str, Any] | None:
    """What came of a request that has more to tell than its stores: opaque ids and fixed words. None for the others."""
    if case.type in ("correction", "completion"):
        changes = case.get("changes", [])
        return {"changes": [{name: change[name] for name in ("record", "outcome")} for change in changes]}
    if case.type == "restriction":
        return {"restricted": case.get("restricted")}
    if case.type == "import":
        return {"imported": case.get("imported")}
    return {"purpose": case.get("purpose")} if case.type == "objection" else None


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
        "result": result(case),
        **explained(case),
        "clocks": {
            "gdpr": {"due_at": int(case.get("due")), "extended": "extended" in case.facts},
            "ccpa": {"acknowledge_by": int(acknowledge_by(case.created)), "due_at": int(ccpa_due(case.created))},
        },
        "cancellable": case.stage == REVERSIBLE and case.status in CANCEL.source,
    }
