"""The public files at /.well-known/ that are text or a few facts: Global Privacy Control, security.txt."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import told
from chatapi.catalogue import read_policy
from chatapi.errors import NotFound

_SECURITY = "/.well-known/security.txt"
_DAY = {"cache-control": "public, max-age=86400"}


def add_public(app: APIGatewayRestResolver, root: Callable[[], str]) -> None:
    """Add the routes. `root` is the API's own address, as the caller reached it."""

    @app.get("/.well-known/gpc.json")
    def gpc() -> Response[str]:
        return told(support(), headers={**_DAY})

    @app.get(_SECURITY)
    def security() -> Response[str]:
        text = security_txt(os.environ.get("SECURITY_CONTACT", ""), root() + _SECURITY)
        return Response(200, "text/plain; charset=utf-8", text, headers={**_DAY})


def support() -> dict[str, object]:
    """The GPC Support Resource (W3C, Global Privacy Control): `Sec-GPC: 1` is honoured since `lastUpdate`."""
    return {"gpc": True, "lastUpdate": read_policy("wellknown")["gpc"]["updated"].isoformat()}


def security_txt(contact: str, canonical: str) -> str:
    """The file (RFC 9116). `contact` is a URI. NotFound where there is none: there is no file without one."""
    if not contact:
        raise NotFound
    policy = read_policy("wellknown")["security"]
    ends = datetime.combine(policy["reviewed"], time(), UTC) + timedelta(days=policy["days"])
    fields = {
        "Contact": contact,
        "Expires": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Preferred-Languages": policy["languages"],
        "Canonical": canonical,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())
