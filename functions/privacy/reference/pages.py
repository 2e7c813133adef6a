"""What /docs is made of: a page of ours, and Swagger UI as Powertools ships it, so its version and its bytes are pinned
by the layer's lock.

The files' addresses carry a digest of what is in them, so they may be kept for a year; the page and the description are
asked for anew each time, which costs a 304. Swagger UI is 1.7 MB, and a quarter of it as gzip (packed once a warm
function), far below the 6 MB that Lambda can answer.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import aws_lambda_powertools
from aws_lambda_powertools.event_handler import Response

from chatapi.errors import NotFound
from chatapi.pages import HTML, page_headers

_OWN = Path(__file__).parent
_SWAGGER = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"
_FILES = {
    "swagger-ui.css": (_SWAGGER / "swagger-ui.min.css", "text/css; charset=utf-8"),
    "docs.css": (_OWN / "docs.css", "text/css; charset=utf-8"),
    "swagger-ui.js": (_SWAGGER / "swagger-ui-bundle.min.js", "text/javascript; charset=utf-8"),
    "docs.js": (_OWN / "docs.js", "text/javascript; charset=utf-8"),
}
_DESCRIPTION = _OWN.parent / "openapi.json"
REVALIDATED = "public, no-cache"
Headers = Mapping[str, Any] | None
_KEPT = "public, max-age=31536000, immutable"


class _File(NamedTuple):
    content: bytes
    packed: bytes
    digest: str


@cache
def _read(path: Path) -> _File:
    return _file(path.read_bytes())


def _file(content: bytes) -> _File:
    return _File(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:16])


@lru_cache(maxsize=4)
def _described(prefix: str) -> _File:
    document = json.loads(_DESCRIPTION.read_bytes())
    document["servers"] = [{"url": prefix or "/"}]
    return _file(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def description(prefix: str, headers: Headers) -> Response[str]:
    """The OpenAPI document, whose server is this one. `prefix` as in `page`."""
    return _told(_described(prefix), "application/json", headers, {"cache-control": REVALIDATED})


def page(prefix: str, headers: Headers) -> Response[str]:
    """The page. `prefix`: what stands before the API's own paths, the stage at API Gateway's own address."""
    root = escape(prefix)
    version = {name: f"{root}/docs/{name}?v={_read(path).digest}" for name, (path, _) in _FILES.items()}
    styles = "".join(f'<link rel="stylesheet" href="{version[name]}">' for name in ("swagger-ui.css", "docs.css"))
    scripts = "".join(f'<script defer src="{version[name]}"></script>' for name in ("swagger-ui.js", "docs.js"))
    text = (
        f'<!doctype html><html lang="en" data-root="{root}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>ChatAPI reference</title>'
        f"{styles}{scripts}</head><body>"
        '<a class="skip" href="#reference">Skip to the operations</a>'
        f'<header><h1>ChatAPI reference</h1><p>From <a href="{root}/openapi.json">openapi.json</a>. '
        "A key that you give under Authorize stays in this page's memory, and requests go to this address alone.</p>"
        '</header><main id="reference" tabindex="-1"><p role="status">Loading the description …</p>'
        "<noscript><p>This page needs JavaScript. The description itself does not.</p></noscript></main></body></html>"
    )
    return _told(_file(text.encode()), HTML, headers, {**page_headers(images=True), "cache-control": REVALIDATED})


def file(name: str, headers: Headers) -> Response[str]:
    """A file of the page, by its exact name: never a path. NotFound."""
    if name not in _FILES:
        raise NotFound
    path, kind = _FILES[name]
    return _told(_read(path), kind, headers, {**page_headers(), "cache-control": _KEPT})


def _told(found: _File, kind: str, headers: Headers, more: dict[str, str]) -> Response[str]:
    """The file, packed where the caller can unpack it, or 304 where it is what the caller has (RFC 9110, 13.1.2)."""
    asked = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
    # Weak, since the tag stands for the file both packed and not; If-None-Match compares weakly.
    told: dict[str, str | list[str]] = {**more, "etag": f'W/"{found.digest}"', "vary": "accept-encoding"}
    had = {tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")}
    if f'"{found.digest}"' in had or "*" in had:
        return Response(304, kind, "", headers=told)
    if not _takes_gzip(asked.get("accept-encoding", "")):
        return Response(200, kind, found.content.decode(), headers=told)
    packed = Response(200, kind, base64.b64encode(found.packed).decode(), headers={**told, "content-encoding": "gzip"})
    packed.base64_encoded = True  # said here: of bytes the resolver would make JSON where they are called that
    return packed


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3: a coding with the weight 0 is not acceptable."""
    for one in accepted.lower().split(","):
        name, _, weight = (part.strip() for part in one.partition(";"))
        if name == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
