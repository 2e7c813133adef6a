"""What is sent and answered of data-rights requests, exports, imports and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AnyUrl, ConfigDict, Field

from chatapi.certificates import OUTCOMES
from chatapi.store.case_states import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, ON_HOLD, RECEIVED
from local.document.said import Absent, Answer
from privacy.requests import OFFERED, ImportRequest, SessionRequest
from privacy.requests import PrivacyRequest as Request

Outcome = Annotated[str, Field(json_schema_extra={"enum": sorted(OUTCOMES)})]
Status = Annotated[
    str, Field(json_schema_extra={"enum": [RECEIVED, IN_PROGRESS, ON_HOLD, COMPLETED, FAILED, CANCELLED]})
]


class PrivacyRequestCreate(Request):
    """The function's own, by its name in the description."""


class PrivacySessionCreate(SessionRequest):
    """The function's own, by its name in the description."""


class PrivacyImportCreate(ImportRequest):
    """The function's own, by its name in the description."""


class StoreOutcome(Answer):
    """What was done in a store."""

    store: str
    outcome: Outcome
    count: int


class ChangeOutcome(Answer):
    """What came of a change."""

    record: str
    outcome: str


class ResultOfChanges(Answer):
    """Of a correction or completion."""

    changes: list[ChangeOutcome]


class ResultOfRestriction(Answer):
    """Of a restriction."""

    restricted: bool | None


class ResultOfImport(Answer):
    """Of an import."""

    imported: dict[str, int] | None


class ResultOfObjection(Answer):
    """Of an objection."""

    purpose: str | None


class GdprClock(Answer):
    """GDPR Art. 12(3)."""

    due_at: int
    extended: bool


class CcpaClock(Answer):
    """11 CCR 7021."""

    acknowledge_by: int
    due_at: int


class Clocks(Answer):
    """Until when, by which law."""

    gdpr: GdprClock
    ccpa: CcpaClock


class PrivacyRequest(Answer):
    """A case (`privacy.requests.show`)."""

    id: str
    object: Literal["privacy.request"]
    type: Annotated[str, Field(json_schema_extra={"enum": [*OFFERED]})]
    status: Status
    created_at: int
    due_at: int
    completed_at: int | None
    stores: list[StoreOutcome]
    result: Annotated[
        ResultOfChanges | ResultOfRestriction | ResultOfImport | ResultOfObjection | None,
        Field(
            description="What came of it besides: `changes` (record, outcome) of a correction or completion, "
            "`restricted`, `purpose`, `imported` (records by kind); null for the others"
        ),
    ]
    reason: Annotated[
        str | None,
        Field(
            description="Why it stands where it does: identity, legal_hold, fault, a reason of an extension or of a "
            "denial"
        ),
    ]
    until: Annotated[int | None, Field(description="When this state ends at the latest, POSIX seconds")]
    explanation: Annotated[str, Field(description="The same in words for the data subject")]
    complain: Annotated[str | None, Field(description="For a denial: the way to complain (GDPR Art. 12(4))")]
    clocks: Clocks
    cancellable: bool


class PrivacyRequestList(Answer):
    """A page of them."""

    object: Literal["list"]
    data: list[PrivacyRequest]
    first_id: str | None
    last_id: str | None
    has_more: bool


class _Covered(Answer):
    """What a signature covers: each type of request adds its own."""

    model_config = ConfigDict(extra="ignore")


class CertificateSubject(_Covered):
    """A data subject, by its pseudonym."""

    subject: str


class CertificateStore(_Covered):
    """What was done in a store."""

    store: str
    outcome: Outcome
    count: int
    reason: str


class CertificatePayload(_Covered):
    """What every certificate and receipt has (`chatapi.certificates`)."""

    version: int
    type: str
    request: str
    project: str
    subjects: list[CertificateSubject]
    stores: list[CertificateStore]
    received_at: int
    completed_at: int
    policy_version: str
    canary: dict[str, Any] | None
    ledger: Annotated[dict[str, Any], Field(description="The proof that the ledger has it")]


class Certificate(Answer):
    """A certificate of an erasure, or the receipt of another request."""

    object: Literal["privacy.certificate"]
    request: str
    payload: Annotated[
        CertificatePayload,
        Field(
            description="What the signature covers. Each type of request adds its own: an erasure `holds`, "
            "`recipients`, `irrecoverable_after`, `notes`; others what was changed or handed over"
        ),
    ]
    jws: Annotated[str, Field(description="Compact JWS (RFC 7515), ES256")]


class PrivacyExport(Answer):
    """A one-time link."""

    url: str
    expires_at: int


class PrivacySession(Answer):
    """A portal link."""

    object: Literal["privacy.session"]
    url: AnyUrl
    expires_at: Annotated[int, Field(description="POSIX seconds")]


class PrivacyImport(Answer):
    """A place for an archive."""

    object: Literal["privacy.import"]
    archive: Annotated[str, Field(description="Names it in a request of the type `import`")]
    url: Annotated[str, Field(description="Where the ZIP is to be PUT, once, of the stated size")]
    headers: Annotated[dict[str, str], Field(description="Headers that the PUT must have")]
    expires_at: int


class RecipientsSet(Answer):
    """The body of `PUT /v1/privacy/recipients`."""

    webhook_url: Annotated[AnyUrl, Field(max_length=2048, description="https to a public DNS name")]


class Recipients(Answer):
    """A project's webhook."""

    object: Literal["privacy.recipients"]
    webhook_url: str | None
    created_at: datetime | Absent = None


class NewRecipients(Recipients):
    """A webhook that was set just now."""

    created_at: datetime
    secret: Annotated[str, Field(description="whsec_ and base64 of 32 bytes")]
