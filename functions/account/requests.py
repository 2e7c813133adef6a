"""The wire models of the self-service of keys: strict, bounded, and refusals that name known fields alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from chatapi.bodies import parsed, wrong
from chatapi.grants import MAX_ENTRIES, MAX_NAME, Grant, canonical_cidr, is_key_name, is_model_name
from chatapi.keys import PREFIX
from chatapi.limits.windows import NO_LIMIT
from chatapi.redaction import demand_of
from chatapi.retention import is_ceiling
from chatapi.store.key_fields import DAY, NEVER, KeyInfo
from chatapi.store.projects import MAX_OVERLAP
from chatapi.strict import Strict

MAX_BODY_BYTES = 16 * 1024


def _model(value: str) -> str:
    if not is_model_name(value):
        raise wrong("A model is named as GET /v1/models lists it.")
    return value


def _name(value: str) -> str:
    if not is_key_name(value):
        raise wrong("A name is of printable characters.")
    return value


def _retention(value: str) -> str:
    if value == "history" or not is_ceiling(value):  # that is no ceiling: the project's own term stands
        raise wrong("A ceiling is none, or history:DAYS with 1 to 3650 days.")
    return value


Kind = Literal["email", "phone", "card", "iban", "ip", "national_id", "credential"]
Scope = Literal["chat", "history", "privacy", "keys", "usage"]
Bounded = Field(min_length=1, max_length=MAX_ENTRIES)
Model = Annotated[str, AfterValidator(_model), Field(json_schema_extra={"maxLength": 64})]
Models = Annotated[list[Model], Bounded] | None
Ceiling = Annotated[
    Annotated[
        str,
        AfterValidator(_retention),
        Field(json_schema_extra={"pattern": "^(none|history:[1-9][0-9]{0,3})$"}),
    ]
    | None,
    Field(description="A ceiling below the project's: none, or history:DAYS (at most 3650)"),
]
Cidr = Annotated[
    str, AfterValidator(canonical_cidr), Field(description="A CIDR range with no host bits set, IPv4 or IPv6")
]
Cidrs = Annotated[list[Cidr], Bounded] | None
Limit = Annotated[int, Field(gt=0, le=NO_LIMIT)] | None
Requests = Annotated[Limit, Field(description="Requests a minute with this key, on top of the project's limit")]
Tokens = Annotated[Limit, Field(description="Tokens a minute with this key, on top of the project's limit")]
Spend = Annotated[Limit, Field(description="Micro-USD a month with this key, on top of the project's limit")]
Redact = Annotated[
    Literal["all"] | Annotated[list[Kind], Field(min_length=1, max_length=16)] | None,
    Field(
        description="What no model may see with this key, on top of what the project demands: all, or kinds of values"
    ),
]


class KeyCreate(Strict):
    """The body of `POST /v1/keys`. What is left out is as the calling key has it; its scopes are always named."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=MAX_NAME, description="A label of the developer's own, kept in clear"),
        AfterValidator(_name),
    ]
    scopes: Annotated[list[Scope], Bounded]
    expires_at: Annotated[Annotated[int, Field(gt=0, lt=NEVER)] | None, Field(description="POSIX seconds")] = None
    models: Models = None
    retention: Ceiling = None
    cidrs: Cidrs = None
    rpm: Requests = None
    tpm: Tokens = None
    spend: Spend = None
    redact: Redact = None

    def grant(self) -> Grant:
        """What is asked for."""
        return Grant(
            scopes=tuple(self.scopes),
            expires=self.expires_at,
            models=tuple(self.models) if self.models else None,
            retention=self.retention,
            cidrs=tuple(self.cidrs) if self.cidrs else None,
            rpm=self.rpm,
            tpm=self.tpm,
            spend=self.spend,
            redact=None if self.redact is None else demand_of([self.redact] if self.redact == "all" else self.redact),
        )


class KeyRotate(Strict):
    """The body of `POST /v1/keys/{id}/rotate`. Without a body the overlap is a day."""

    overlap_seconds: Annotated[int, Field(ge=0, le=MAX_OVERLAP)] = DAY


_FIELDS = frozenset([*KeyCreate.model_fields, *KeyRotate.model_fields])
Shape = TypeVar("Shape", bound=Strict)


def parse(shape: type[Shape], body: bytes) -> Shape:
    """The request in a body. RequestTooLarge above 16 KiB; BadRequest with the path of the first wrong field."""
    return parsed(shape, body, known=_FIELDS, most=MAX_BODY_BYTES)


def show(project: str, key: KeyInfo) -> dict[str, Any]:
    """A key on the wire, without its secret. Times in POSIX seconds, `last_used_on` a UTC day; `spend` in micro-USD a
    month; null: no restriction of that kind, or never used."""
    grant = key.grant
    return {
        "id": key.kid,
        "object": "api_key",
        "name": key.name,
        "scopes": list(grant.scopes),
        "created_at": key.created,
        "expires_at": grant.expires,
        "models": list(grant.models) if grant.models else None,
        "retention": grant.retention,
        "redact": None if grant.redact is None else "all" if grant.redact == "all" else grant.redact.split(),
        "cidrs": list(grant.cidrs) if grant.cidrs else None,
        "rpm": grant.rpm,
        "tpm": grant.tpm,
        "spend": grant.spend,
        "last_used_on": key.last_used,
        "revoked_at": key.revoked,
        "revoked_reason": key.reason,
        "redacted": f"{PREFIX}{project}{key.kid}…",
    }
