"""What is sent and answered of keys, usage and leaked keys."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from account.requests import Ceiling, Cidrs, KeyCreate, KeyRotate, Models, Redact, Requests, Scope, Spend, Tokens
from local.document.said import Absent, Answer


class ApiKeyCreate(KeyCreate):
    """The function's own, by its name in the description."""


class ApiKeyRotate(KeyRotate):
    """The function's own, by its name in the description."""


class ApiKey(Answer):
    """A key (`account.requests.show`)."""

    id: str
    object: Literal["api_key"]
    name: str
    scopes: list[Scope]
    created_at: int
    expires_at: int | None
    models: Models
    retention: Ceiling
    redact: Redact
    cidrs: Cidrs
    rpm: Requests
    tpm: Tokens
    spend: Spend
    last_used_on: Annotated[
        date | None,
        Field(description="The UTC day of the last request that was let in with this key, null before the first"),
    ]
    revoked_at: Annotated[
        int | None,
        Field(description="POSIX seconds; null for a key that was not revoked. A leaked key is shown for 90 days"),
    ]
    revoked_reason: Literal["leaked"] | None
    redacted: Annotated[str, Field(description="How the key begins")]


class NewApiKey(ApiKey):
    """A key that was made just now."""

    key: Annotated[str, Field(description="The secret, shown this once")]


class ApiKeyList(Answer):
    """A project's keys."""

    object: Literal["list"]
    data: list[ApiKey]


class ApiKeyDeleted(Answer):
    """A key that was revoked."""

    id: str
    object: Literal["api_key.deleted"]
    deleted: Literal[True]


class UsageLine(Answer):
    """Usage of one day, key and model, as far as they are asked for."""

    day: date | Absent = None
    key_id: str | Absent = None
    model: str | Absent = None
    requests: int
    input_tokens: Annotated[int, Field(description="Cached ones included")]
    cached_tokens: int
    output_tokens: int
    cost_micro_usd: Annotated[int, Field(description="Millionths of a US dollar")]


class Usage(Answer):
    """`GET /v1/usage`."""

    object: Literal["usage"]
    start: date
    end: date
    group_by: list[Literal["day", "key", "model"]]
    gathered_at: Annotated[int | None, Field(description="POSIX seconds; null before the first gathering")]
    data: list[UsageLine]


class LeakedKey(BaseModel):
    """One match of a report; the programme may add fields, and they are not read."""

    token: str
    type: str
    url: str | Absent = None
    source: str | Absent = None


class LeakedKeyLabel(Answer):
    """What a match was."""

    token_raw: str
    token_type: str
    label: Literal["true_positive", "false_positive"]
