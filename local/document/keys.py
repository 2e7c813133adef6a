"""The description of API keys, of usage, and of reports of leaked keys."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from account.leaks.service import MAX_MATCHES
from local.document.keys_shapes import (
    ApiKey,
    ApiKeyCreate,
    ApiKeyDeleted,
    ApiKeyList,
    ApiKeyRotate,
    LeakedKey,
    LeakedKeyLabel,
    NewApiKey,
    Usage,
)
from local.document.said import OPEN, Absent, Id, area, keyed, keyless, told

router = area()


@router.get(
    "/v1/keys",
    operation_id="listKeys",
    summary="List the project's API keys",
    description="Oldest first, never with their secrets.",
    tags=["keys"],
    responses={200: told("The keys", ApiKeyList), **keyed()},
)
def _list() -> None: ...


@router.post(
    "/v1/keys",
    operation_id="createKey",
    summary="Create an API key",
    description="The secret is shown this once. A key grants no more than the one that makes it; what is left out is "
    "as that one has it. At most 8 live keys (409 `too_many_keys`).",
    tags=["keys"],
    responses={201: told("The key, with its secret", NewApiKey), **keyed(400, 409, 413)},
)
def _create(body: Annotated[ApiKeyCreate, Body()]) -> None: ...


@router.get(
    "/v1/keys/<id>",
    operation_id="getKey",
    summary="One API key",
    tags=["keys"],
    responses={200: told("The key", ApiKey), **keyed(404)},
)
def _get(id: Id) -> None: ...


@router.delete(
    "/v1/keys/<id>",
    operation_id="revokeKey",
    summary="Revoke an API key",
    description="Its next request is refused. The calling key may revoke itself.",
    tags=["keys"],
    responses={200: told("Revoked", ApiKeyDeleted), **keyed(404)},
)
def _revoke(id: Id) -> None: ...


@router.post(
    "/v1/keys/<id>/rotate",
    operation_id="rotateKey",
    summary="Replace an API key",
    description="A new key with the same fields; the old one ends after the overlap. The secret is shown this once.",
    tags=["keys"],
    responses={201: told("The new key, with its secret", NewApiKey), **keyed(400, 404, 409, 413)},
)
def _rotate(id: Id, body: Annotated[ApiKeyRotate | Absent, Body()] = None) -> None: ...


@router.get(
    "/v1/usage",
    operation_id="getUsage",
    summary="What the project used",
    description="Gathered from the chats once an hour; `gathered_at` says when. A chat counts on the UTC day on which "
    "it ended. Days without usage have no line. CSV with `Accept: text/csv` or `format=csv`.",
    tags=["usage"],
    responses={
        200: {
            "description": "Usage",
            "headers": {
                "x-gathered-at": {
                    "description": "CSV alone: POSIX seconds, empty before the first gathering",
                    "schema": {"type": "string"},
                }
            },
            "content": {"application/json": {"model": Usage}, "text/csv": {"schema": {"type": "string"}}},
        },
        **keyed(400),
    },
)
def _usage(
    start: Annotated[date | Absent, Query(description="First day; without it, 30 days until `end`")] = None,
    end: Annotated[date | Absent, Query(description="Last day, included; without it, today. At most 92 days")] = None,
    group_by: Annotated[str, Query(description="Some of day, key, model, with commas")] = "day,key,model",
    format: Annotated[Literal["json", "csv"] | Absent, Query()] = None,
) -> None: ...


@router.post(
    "/v1/leaked-keys",
    operation_id="reportLeakedKeys",
    summary="Report keys that were found in public",
    description="In the shape of GitHub's secret scanning partner programme. The body is an array of at most 500 "
    "matches, 512 KiB; the signature (ECDSA P-256, SHA-256, base64 of DER) covers its bytes. Keys of ours are revoked "
    "at once and their owners told. Without a configured partner every report is refused.",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: told("A label for each match", list[LeakedKeyLabel]), **keyless(400, 403, 413, 503)},
)
def _report(
    body: Annotated[list[LeakedKey], Body(max_length=MAX_MATCHES)],
    identifier: Annotated[str, Header(alias="Github-Public-Key-Identifier")],
    signature: Annotated[str, Header(alias="Github-Public-Key-Signature")],
) -> None: ...
