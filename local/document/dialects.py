"""The description of OpenDSR and of the Data Rights Protocol."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader

from local.document.dialects_shapes import (
    DrpAgent,
    DrpError,
    DrpStatus,
    DrpToken,
    OpenDsrDiscovery,
    OpenDsrError,
    OpenDsrReceipt,
    OpenDsrRequest,
    OpenDsrStatus,
)
from local.document.said import OPEN, area, bare, keyless, refused, text, told
from privacy.dialects import drp, opendsr

router = area()

_OPENDSR = f"{opendsr.PREFIX}/requests"
_DRP = f"{drp.PREFIX}/<id>"
_SIGNED: dict[str, OpenAPIResponseHeader] = {
    "X-OpenDSR-Processor-Domain": {"schema": {"type": "string"}},
    "X-OpenDSR-Signature": {
        "description": "base64 of an ECDSA signature (DER, P-256) over SHA-256 of the body",
        "schema": {"type": "string"},
    },
}
_TOO_MANY = "Too many calls of this agent, or of all together"
Message = Annotated[
    str,
    Body(media_type="text/plain", description="base64 of an Ed25519 signature (64 bytes) and the JSON it signs"),
]
Request = Annotated[UUID, Path(description="The subject_request_id")]
DrpRequest = Annotated[str, Path(description="The request_id")]
Agent = Annotated[str, Path(description="The agent-id")]


def _opendsr(*statuses: int) -> dict[int, OpenAPIResponse]:
    """Refusals of the function in OpenDSR's shape, those before it in the one shape."""
    refusal = told("Refused, in OpenDSR's shape", OpenDsrError)
    return {**dict.fromkeys((403, *statuses), refusal), **refused(401, 429, 503)}


def _drp(*statuses: int) -> dict[int, OpenAPIResponse]:
    """Refusals in the protocol's shape."""
    refusal = told("Refused, in the protocol's shape", DrpError)
    return {**dict.fromkeys((403, *statuses), refusal), 429: told(_TOO_MANY, DrpError), **refused(503)}


@router.get(
    f"{opendsr.PREFIX}/discovery",
    operation_id="discoverOpenDsr",
    summary="OpenDSR 2.0: what is supported",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={200: told("Discovery", OpenDsrDiscovery), **keyless()},
)
def _discover() -> None: ...


@router.post(
    _OPENDSR,
    operation_id="createOpenDsrRequest",
    summary="OpenDSR 2.0: a request of the controller",
    description="The same subject_request_id again gives the same request. The answer repeats the body in "
    "`encoded_request`, as OpenDSR demands; nothing of it is stored.",
    tags=["dialects"],
    responses={201: told("Received", OpenDsrReceipt, _SIGNED), **_opendsr(400, 409, 413)},
)
def _create(body: Annotated[OpenDsrRequest, Body()]) -> None: ...


@router.get(
    f"{_OPENDSR}/<id>",
    operation_id="getOpenDsrRequest",
    summary="OpenDSR 2.0: its status",
    tags=["dialects"],
    responses={200: told("Status", OpenDsrStatus, _SIGNED), **_opendsr(404)},
)
def _status(id: Request) -> None: ...


@router.delete(
    f"{_OPENDSR}/<id>",
    operation_id="cancelOpenDsrRequest",
    summary="OpenDSR 2.0: take it back, until the point of no return",
    tags=["dialects"],
    responses={202: told("Cancelled", OpenDsrReceipt, _SIGNED), **_opendsr(404, 409)},
)
def _cancel(id: Request) -> None: ...


@router.get(
    opendsr.CERTIFICATE_PATH,
    operation_id="getOpenDsrCertificate",
    summary="The certificate of the key that signs OpenDSR answers",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: text("X.509 in PEM", "application/x-pem-file"), **keyless()},
)
def _certificate() -> None: ...


@router.post(
    drp.PREFIX,
    operation_id="exerciseDataRight",
    summary="Data Rights Protocol 1.0: a consumer's request, by an agent",
    description="`Authorization: Bearer` takes the agent's token, not an API key.",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={200: told("Status", DrpStatus), **_drp(400, 413)},
)
def _exercise(body: Message) -> None: ...


@router.get(
    _DRP,
    operation_id="getDataRightsRequest",
    summary="Data Rights Protocol 1.0: its status",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={200: told("Status", DrpStatus), **_drp()},
)
def _follow(id: DrpRequest) -> None: ...


@router.delete(
    _DRP,
    operation_id="revokeDataRightsRequest",
    summary="Data Rights Protocol 1.0: take it back",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={200: told("Status", DrpStatus), **_drp(400, 409, 413)},
)
def _revoke(id: DrpRequest, body: Message) -> None: ...


@router.post(
    "/v1/agent/<id>",
    operation_id="setUpAgent",
    summary="Data Rights Protocol 1.0: a token for a registered agent",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={
        200: told("The token; the one before ends", DrpToken),
        403: bare("Whatever is wrong; no body"),
        429: bare(_TOO_MANY),
        **refused(503),
    },
)
def _set_up(id: Agent, body: Message) -> None: ...


@router.get(
    "/v1/agent/<id>",
    operation_id="getAgent",
    summary="Data Rights Protocol 1.0: whether the token is this agent's",
    tags=["dialects"],
    openapi_extensions=OPEN,
    responses={200: told("It is", DrpAgent), **_drp()},
)
def _agent(id: Agent) -> None: ...
