"""The description of what is open to everybody: files, this document, the pages of the portal."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from pydantic import Field

from local.document.said import OPEN, Answer, area, bare, keyless, text, told

router = area()

_HTML = "text/html"
_UNCHANGED = bare("What `If-None-Match` names is what there is")
Page = Annotated[
    str,
    Path(
        alias="page+",
        description="sign-in, code, enter, requests, policy, verify, developers, … and assets/ (docs/portal.md)",
    ),
]


class Gpc(Answer):
    """The GPC Support Resource."""

    gpc: Literal[True]
    lastUpdate: date


class JsonWebKey(Answer):
    """A P-256 key (RFC 7518)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class JsonWebKeySet(Answer):
    """RFC 7517."""

    keys: Annotated[list[JsonWebKey], Field(min_length=1)]


class Health(Answer):
    """That the API answers."""

    status: Literal["ok"]


@router.get(
    "/.well-known/gpc.json",
    operation_id="getGpc",
    summary="That Global Privacy Control is honoured, and since when",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: told("The GPC Support Resource", Gpc), **keyless()},
)
def _gpc() -> None: ...


@router.get(
    "/.well-known/security.txt",
    operation_id="getSecurityTxt",
    summary="Where weaknesses are reported (RFC 9116)",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: text("security.txt", "text/plain"), **keyless(404)},
)
def _security() -> None: ...


@router.get(
    "/.well-known/jwks.json",
    operation_id="getJwks",
    summary="The keys that sign certificates and receipts (RFC 7517)",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: told("A key set", JsonWebKeySet), **keyless()},
)
def _jwks() -> None: ...


@router.get(
    "/health",
    operation_id="getHealth",
    summary="Whether the API answers",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: told("It does", Health), **keyless()},
)
def _health() -> None: ...


@router.get(
    "/openapi.json",
    operation_id="getOpenapi",
    summary="This document",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: told("OpenAPI 3.1", dict[str, Any]), 304: _UNCHANGED, **keyless()},
)
def _openapi() -> None: ...


@router.get(
    "/docs",
    operation_id="getDocs",
    summary="This document, to read and to try",
    description="Swagger UI, every file of it from this API.",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: text("The page", _HTML), 304: _UNCHANGED, **keyless()},
)
def _docs() -> None: ...


@router.get(
    "/docs/<file>",
    operation_id="getDocsFile",
    summary="A file of that page",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: text("Style or script", "text/css", "text/javascript"), 304: _UNCHANGED, **keyless(404)},
)
def _file(
    file: Annotated[str, Path(min_length=1, max_length=128, openapi_examples={"style": {"value": "docs.css"}})],
) -> None: ...


@router.get(
    "/portal",
    operation_id="getPortal",
    summary="The portal's first page",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={200: text("The portal's first page", _HTML), **keyless()},
)
def _portal() -> None: ...


@router.get(
    "/portal/<page+>",
    operation_id="getPortalPage",
    summary="A page of the privacy portal, for people",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={
        200: text("The page", _HTML),
        303: bare("On to another page"),
        404: text("No such page", _HTML),
        **keyless(),
    },
)
def _page(page: Page) -> None: ...


@router.post(
    "/portal/<page+>",
    operation_id="postPortalForm",
    summary="A form of the privacy portal; takes no other client's posts",
    tags=["public"],
    openapi_extensions=OPEN,
    responses={
        303: bare("On to the next page"),
        400: text("What is wrong with the form", _HTML),
        403: text("A form, code or link that is not accepted", _HTML),
        429: text("Too many codes were asked for", _HTML),
    },
)
def _form(
    page: Page, body: Annotated[dict[str, Any], Body(media_type="application/x-www-form-urlencoded")]
) -> None: ...


_FILES = {
    "usage": ("getUsagePage", "The page that plots usage; the key is typed into it and kept in memory", _HTML),
    "keys": (
        "getKeysPage",
        "The page that lists, makes, rotates and revokes keys; the key is typed into it and kept in memory",
        _HTML,
    ),
    "keys.js": ("getKeysScript", "The script of the page of keys", "text/javascript"),
    "shared.js": ("getSharedScript", "What the scripts of both pages share", "text/javascript"),
    "usage.js": ("getUsageScript", "The script of the page", "text/javascript"),
    "usage.css": ("getUsageStyle", "The style of the page", "text/css"),
}
for _name, (_operation, _told, _kind) in _FILES.items():
    router.get(
        f"/portal/{_name}",
        operation_id=_operation,
        summary=_told,
        tags=["public"],
        openapi_extensions=OPEN,
        responses={200: text(_told, _kind), **keyless()},
    )(_portal)
