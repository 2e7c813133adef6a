"""The portal's pages: files packed with this function, and the headers that let them load nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.pages import page_headers

_FILES = Path(__file__).parent / "portal"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


PAGES = {
    "/portal/usage": "usage.html",
    "/portal/usage.js": "usage.js",
    "/portal/usage.css": "usage.css",
    "/portal/keys": "keys.html",
    "/portal/keys.js": "keys.js",
    "/portal/shared.js": "shared.js",
}
"""What a path shows. The scripts and the style of both pages have their own paths: nothing is inline."""


def add_pages(app: APIGatewayRestResolver) -> None:
    """Add the routes of the pages."""
    for path, name in PAGES.items():
        app.get(path)(_shows(name))


def _shows(name: str) -> Callable[[], Response[str]]:
    def shown() -> Response[str]:
        return _page(name)

    return shown


@cache
def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def _page(name: str) -> Response[str]:
    """A file of the portal, by a name of ours: never one from a request."""
    return Response(200, _TYPES[Path(name).suffix], _text(name), headers={**page_headers()})
