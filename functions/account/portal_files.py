"""The portal's pages: files packed with this function, and the headers that let them load nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from aws_lambda_powertools.event_handler import Response

from chatapi.pages import page_headers

_FILES = Path(__file__).parent / "portal"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@cache
def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def page(name: str) -> Response[str]:
    """A file of the portal, by a name of ours: never one from a request."""
    return Response(200, _TYPES[Path(name).suffix] + "; charset=utf-8", _text(name), headers={**page_headers()})
