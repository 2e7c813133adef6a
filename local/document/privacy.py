"""The description of data-rights requests, sessions, imports, choices and webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from local.document.consent_shapes import ConsentChoice, ConsentList, ConsentReceipt
from local.document.privacy_shapes import (
    Certificate,
    NewRecipients,
    PrivacyExport,
    PrivacyImport,
    PrivacyImportCreate,
    PrivacyRequest,
    PrivacyRequestCreate,
    PrivacyRequestList,
    PrivacySession,
    PrivacySessionCreate,
    Recipients,
    RecipientsSet,
)
from local.document.said import OPEN, Absent, After, Id, Limit, area, bare, keyed, keyless, told

router = area()

_REQUEST = "/v1/privacy/requests/<id>"
_RECIPIENTS = "/v1/privacy/recipients"


@router.post(
    "/v1/privacy/requests",
    operation_id="createPrivacyRequest",
    summary="Ask for a right of a data subject",
    description="Answered at once with 202; follow it with GET. The answer never repeats the subject, nor what was "
    "handed in. What is open already for the same right and subject is answered again. GDPR Art. 15 to 21.",
    tags=["privacy"],
    responses={202: told("Received", PrivacyRequest), **keyed(400, 409, 413)},
)
def _create(
    body: Annotated[PrivacyRequestCreate, Body()],
    idempotency_key: Annotated[
        str | Absent, Header(max_length=64, description="A repeat with the same key gives the same request")
    ] = None,
) -> None: ...


@router.get(
    "/v1/privacy/requests",
    operation_id="listPrivacyRequests",
    summary="List the project's data-rights requests",
    tags=["privacy"],
    responses={200: told("A page", PrivacyRequestList), **keyed(400)},
)
def _list(after: After = None, limit: Limit = 20) -> None: ...


@router.get(
    _REQUEST,
    operation_id="getPrivacyRequest",
    summary="Follow a request",
    tags=["privacy"],
    responses={200: told("The request", PrivacyRequest), **keyed(404)},
)
def _get(id: Id) -> None: ...


@router.post(
    f"{_REQUEST}/cancel",
    operation_id="cancelPrivacyRequest",
    summary="Cancel, until the point of no return",
    tags=["privacy"],
    responses={200: told("Cancelled", PrivacyRequest), **keyed(404, 409)},
)
def _cancel(id: Id) -> None: ...


@router.get(
    f"{_REQUEST}/certificate",
    operation_id="getPrivacyCertificate",
    summary="The signed certificate of a completed erasure, or the receipt of another completed request",
    description="The same bytes on every call. `chatapi verify FILE --jwks FILE` checks it offline.",
    tags=["privacy"],
    responses={200: told("The certificate", Certificate), **keyed(400, 404)},
)
def _certificate(
    id: Id,
    part: Annotated[
        Literal["release"] | Absent,
        Query(description="The second certificate of an erasure that legal holds had kept from ending"),
    ] = None,
) -> None: ...


@router.get(
    f"{_REQUEST}/export",
    operation_id="linkPrivacyExport",
    summary="A one-time link to the export of a completed request",
    description="The url opens once, within ten minutes, without a key. The export itself is gone after seven days. "
    "GDPR Art. 15 and 20.",
    tags=["privacy"],
    responses={200: told("The link", PrivacyExport), **keyed(404)},
)
def _export(id: Id) -> None: ...


@router.get(
    "/v1/privacy/downloads/<token>",
    operation_id="downloadPrivacyExport",
    summary="The export behind a one-time link",
    tags=["privacy"],
    openapi_extensions=OPEN,
    responses={
        303: {**bare("On to the ZIP, once"), "headers": {"location": {"schema": {"type": "string"}}}},
        **keyless(404, 503),
    },
)
def _download(token: Id) -> None: ...


@router.post(
    "/v1/privacy/sessions",
    operation_id="createPrivacySession",
    summary="A portal link for one data subject",
    description="Hand it to the end user it is for: it opens the privacy portal as that person alone, once, within "
    "fifteen minutes. The answer never repeats the subject. GDPR Art. 12(2).",
    tags=["privacy"],
    responses={201: told("The link", PrivacySession), **keyed(400, 413)},
)
def _session(body: Annotated[PrivacySessionCreate, Body()]) -> None: ...


@router.post(
    "/v1/privacy/imports",
    operation_id="beginPrivacyImport",
    summary="A place to put a person's own copy, to be read in again",
    description="PUT the ZIP of an export there, then make a request of the type `import`. GDPR Art. 20.",
    tags=["privacy"],
    responses={201: told("The place", PrivacyImport), **keyed(400, 413)},
)
def _import(body: Annotated[PrivacyImportCreate, Body()]) -> None: ...


@router.post(
    "/v1/privacy/consents",
    operation_id="chooseConsent",
    summary="Give or withdraw consent for an optional purpose",
    description="What a data subject chose; the answer is the receipt (ISO/IEC TS 27560). The same choice again gives "
    "the same receipt. Every optional purpose is off until consent is given; the next request obeys. A purpose that is "
    "not optional is refused with the reason. GDPR Art. 7, 21.",
    tags=["privacy"],
    responses={200: told("The receipt", ConsentReceipt), **keyed(400, 409, 413)},
)
def _choose(body: Annotated[ConsentChoice, Body()]) -> None: ...


@router.post(
    "/v1/privacy/consents/query",
    operation_id="queryConsents",
    summary="What a data subject chose",
    description="Every optional purpose, whether it is allowed, and the record of the choice. A POST, so that no end "
    "user's id is in a URL.",
    tags=["privacy"],
    responses={200: told("The choices", ConsentList), **keyed(400, 413)},
)
def _choices(body: Annotated[PrivacySessionCreate, Body()]) -> None: ...


@router.get(
    _RECIPIENTS,
    operation_id="getRecipients",
    summary="The project's webhook",
    tags=["privacy"],
    responses={200: told("The webhook", Recipients), **keyed()},
)
def _recipients() -> None: ...


@router.put(
    _RECIPIENTS,
    operation_id="setRecipients",
    summary="Set or replace the webhook",
    description="Erasures, corrections, completions, restrictions and choices are told to it, signed as Standard "
    "Webhooks does; what it answered to a request stands in its certificate or receipt. The secret is shown this once.",
    tags=["privacy"],
    responses={200: told("The webhook", NewRecipients), **keyed(400, 413)},
)
def _set_recipients(body: Annotated[RecipientsSet, Body()]) -> None: ...


@router.delete(
    _RECIPIENTS,
    operation_id="endRecipients",
    summary="No webhook any more",
    tags=["privacy"],
    responses={200: told("The webhook", Recipients), **keyed()},
)
def _end_recipients() -> None: ...
