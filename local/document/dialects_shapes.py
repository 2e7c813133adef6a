"""What is sent and answered in OpenDSR and in the Data Rights Protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AnyUrl, Field

from local.document.privacy_shapes import Status
from local.document.said import Absent, Answer
from privacy.dialects.opendsr import Body


class OpenDsrRequest(Body):
    """The function's own, by its name in the description."""


class OpenDsrIdentity(Answer):
    """An identity that leads to a data subject."""

    identity_type: str
    identity_format: str


class OpenDsrDiscovery(Answer):
    """Section 6."""

    api_version: str
    supported_identities: list[OpenDsrIdentity]
    supported_subject_request_types: list[str]
    processor_certificate: AnyUrl


class OpenDsrReceipt(Answer):
    """Sections 7 and 9."""

    controller_id: str
    expected_completion_time: datetime | Absent = None
    received_time: datetime
    encoded_request: Annotated[
        str | Absent, Field(description="base64 of the request's body; not in the answer to a cancellation")
    ] = None
    subject_request_id: UUID
    api_version: str | Absent = None


class OpenDsrExtension(Answer):
    """What OpenDSR has no word for."""

    request: str
    status: Status
    reason: str | None
    explanation: str
    complain: str | None


class OpenDsrStatus(Answer):
    """Section 8."""

    controller_id: str
    expected_completion_time: datetime
    subject_request_id: UUID
    request_status: Literal["pending", "in_progress", "completed", "cancelled"]
    api_version: str
    results_url: AnyUrl | Absent = None
    results_count: int | Absent = None
    extensions: Annotated[
        dict[str, OpenDsrExtension],
        Field(min_length=1, max_length=1, description="By the processor's domain: what OpenDSR has no word for"),
    ]


class OpenDsrDetail(Answer):
    """One thing that is wrong."""

    domain: str
    reason: str
    message: str


class OpenDsrProblem(Answer):
    """What is wrong."""

    code: int
    message: str
    errors: list[OpenDsrDetail]


class OpenDsrError(Answer):
    """Section 7.6."""

    error: OpenDsrProblem


class DrpStatus(Answer):
    """Section 2.02."""

    request_id: UUID
    agent_request_id: str | Absent = None
    received_at: datetime
    expected_by: datetime
    status: Literal["open", "in_progress", "fulfilled", "revoked", "denied"]
    reason: (
        Literal["need_user_verification", "insuf_verification", "claim_not_covered", "too_many_requests", "other"]
        | Absent
    ) = None
    processing_details: str
    user_verification_url: AnyUrl | Absent = None


class DrpError(Answer):
    """Section 2.01."""

    code: str
    message: str
    fatal: bool


class DrpToken(Answer):
    """Section 2.05."""

    agent_id: Annotated[str, Field(alias="agent-id")]
    token: str


class DrpAgent(Answer):
    """Section 2.06: that there is nothing to say."""
