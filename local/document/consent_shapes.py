"""What is sent and answered of choices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from chatapi.store.consents import STATES, optional_purposes
from local.document.said import Answer
from privacy.consents import SCHEMA
from privacy.requests import Choice

Purpose = Annotated[str, Field(json_schema_extra={"enum": [*optional_purposes()]})]
State = Annotated[str, Field(json_schema_extra={"enum": [*STATES]})]
Schema = Annotated[str, Field(json_schema_extra={"const": SCHEMA})]


class ConsentChoice(Choice):
    """The function's own, with what `privacy.consents` takes of it."""

    purpose: Purpose
    state: State


class ConsentPurpose(Answer):
    """ISO/IEC TS 27560:2023, what is processed and why."""

    purpose: str
    purpose_type: str
    lawful_basis: str
    pii_information: list[str]
    pii_controllers: list[str]
    recipient_third_parties: Annotated[list[Any], Field(max_length=0)]
    storage_locations: list[str]
    retention_period: str
    withdrawal_method: str
    privacy_rights: list[str]


class ConsentEvent(Answer):
    """One change of a choice."""

    event_time: datetime
    event_type: Literal["consent-given", "consent-withdrawn"]
    event_state: State
    entity_id: Literal["project", "person", "erasure"]
    privacy_notice: str
    revision: Annotated[int, Field(ge=1)]


class ConsentRecord(Answer):
    """ISO/IEC TS 27560:2023, the record."""

    schema_version: Schema
    record_id: str
    pii_principal_id: Annotated[str, Field(description="The pseudonym of the data subject")]
    privacy_notice: Annotated[str, Field(description="The version of the privacy policy in force at the choice")]
    language: str
    purposes: list[ConsentPurpose]
    revision: Annotated[int, Field(ge=1)]
    event_state: State
    events: Annotated[list[ConsentEvent], Field(max_length=20, description="The last twenty changes, oldest first")]


class ConsentReceipt(Answer):
    """ISO/IEC TS 27560:2023, the receipt."""

    object: Literal["privacy.consent_receipt"]
    schema_version: Schema
    receipt_id: str
    record: ConsentRecord
    jws: Annotated[
        str | None,
        Field(
            description="ES256 (RFC 7515) over the canonical JSON of all other fields, by a key of "
            "/.well-known/jwks.json; null until it is signed, seconds after the choice. `chatapi verify` checks it "
            "offline."
        ),
    ]


class Consent(Answer):
    """An optional purpose, and what the data subject chose."""

    object: Literal["privacy.consent"]
    purpose: Purpose
    text: str
    default: Literal["off"]
    processed_today: str
    allowed: bool
    record: ConsentRecord | None
    receipt: ConsentReceipt | None


class ConsentList(Answer):
    """All of them."""

    object: Literal["list"]
    data: list[Consent]
