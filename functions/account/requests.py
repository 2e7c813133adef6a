"""The wire models of the self-service of keys: strict, bounded, and refusals that name known fields alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from chatapi.errors import BadRequest, RequestTooLarge
from chatapi.grants import MAX_ENTRIES, MAX_NAME, Grant, canonical_cidr, is_key_name, is_model_name
from chatapi.keys import PREFIX
from chatapi.limits.windows import NO_LIMIT
from chatapi.retention import is_ceiling
from chatapi.store.projects import DAY, MAX_OVERLAP, NEVER, KeyInfo

MAX_BODY_BYTES = 16 * 1024


def _model(value: str) -> str:
    if not is_model_name(value):
        raise ValueError("not the name of a model")
    return value


def _name(value: str) -> str:
    if not is_key_name(value):
        raise ValueError("not printable")
    return value


def _retention(value: str) -> str:
    if value == "history" or not is_ceiling(value):  # that is no ceiling: the project's own term stands
        raise ValueError("not a retention ceiling")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True, frozen=True)


Scope = Literal["chat", "history", "privacy", "keys", "usage"]
Limit = Annotated[int, Field(gt=0, le=NO_LIMIT)]
Bounded = Field(min_length=1, max_length=MAX_ENTRIES)


class KeyCreate(_Strict):
    """The body of `POST /v1/keys`. What is left out is as the calling key has it; its scopes are always named."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_name)]
    scopes: Annotated[list[Scope], Bounded]
    expires_at: Annotated[int, Field(gt=0, lt=NEVER)] | None = None
    models: Annotated[list[Annotated[str, AfterValidator(_model)]], Bounded] | None = None
    retention: Annotated[str, AfterValidator(_retention)] | None = None
    cidrs: Annotated[list[Annotated[str, AfterValidator(canonical_cidr)]], Bounded] | None = None
    rpm: Limit | None = None
    tpm: Limit | None = None
    spend: Limit | None = None

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
        )


class KeyRotate(_Strict):
    """The body of `POST /v1/keys/{id}/rotate`. Without a body the overlap is a day."""

    overlap_seconds: Annotated[int, Field(ge=0, le=MAX_OVERLAP)] = DAY


_FIELDS = frozenset([*KeyCreate.model_fields, *KeyRotate.model_fields])
Shape = TypeVar("Shape", bound=_Strict)


def parse(shape: type[Shape], body: bytes) -> Shape:
    """The request in a body. RequestTooLarge above 16 KiB; BadRequest with the path of the first wrong field."""
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge("The request body is larger than 16 KiB.")
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        refusal = _refusal(error)
    raise refusal  # outside the handler: the cause would quote the input


def _refusal(error: ValidationError) -> BadRequest:
    problem: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind, param = problem["type"], _path(problem["loc"])
    if kind == "json_invalid":
        return BadRequest("The body is not valid JSON.", code="invalid_json")
    if kind == "missing":
        return BadRequest("A required parameter is missing.", code="missing_required_parameter", param=param)
    if kind == "extra_forbidden":
        return BadRequest("The request has a parameter that is not known.", code="unknown_parameter", param=param)
    if kind == "too_short":
        return BadRequest("The array is empty.", code="empty_array", param=param)
    if kind.endswith("_type") or kind.startswith("model_"):
        return BadRequest("The parameter has the wrong type.", code="invalid_type", param=param)
    return BadRequest("The parameter's value is not supported here.", code="invalid_value", param=param)


def _path(loc: tuple[str | int, ...]) -> str | None:
    known = [f"[{step}]" if isinstance(step, int) else step for step in loc if isinstance(step, int) or step in _FIELDS]
    return "".join(known) or None


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
        "cidrs": list(grant.cidrs) if grant.cidrs else None,
        "rpm": grant.rpm,
        "tpm": grant.tpm,
        "spend": grant.spend,
        "last_used_on": key.last_used,
        "revoked_at": key.revoked,
        "revoked_reason": key.reason,
        "redacted": f"{PREFIX}{project}{key.kid}…",
    }
