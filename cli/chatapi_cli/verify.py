"""Verify a certificate, a receipt or an export offline: `chatapi verify FILE --jwks FILE_OR_URL`."""

from __future__ import annotations

import json
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chatapi.archives import DAMAGED, findings
from chatapi.certificates import RECEIPT, verify, verify_receipt

_LARGEST = 1 << 20
_TIMEOUT = 10.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """An answer that leads elsewhere is an error, as urllib reads None."""


_opener = urllib.request.build_opener(_NoRedirect)


def verify_file(path: Path, jwks: str) -> list[str]:
    """What is wrong with the certificate in a file, as fixed texts; empty where it holds.

    `jwks` is the file or the URL of the key set: `https`, or `http` on this machine. The certificate never chooses its
    own keys: whoever asks says where they come from, so no redirect is followed.
    """
    if zipfile.is_zipfile(path):
        return _export(path, jwks)
    certificate = _object(_file(path))
    if certificate is None:
        return ["the file is not a certificate"]
    keys = _object(_fetched(jwks) if "://" in jwks else _file(Path(jwks)))
    if keys is None:
        return ["the key set cannot be read"]
    return verify_receipt(certificate, keys) if certificate.get("object") == RECEIPT else verify(certificate, keys)


def _export(path: Path, jwks: str) -> list[str]:
    """The same of an export: its manifest, and every file against it, each read in blocks."""
    keys = _object(_fetched(jwks) if "://" in jwks else _file(Path(jwks)))
    if keys is None:
        return ["the key set cannot be read"]
    try:
        with zipfile.ZipFile(path) as archive:
            return findings(archive, keys)
    except DAMAGED:
        return ["the archive cannot be read"]


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError:
        return b""


def _fetched(url: str) -> bytes:
    try:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        ):
            return b""
        with _opener.open(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read(_LARGEST + 1))
    except (OSError, ValueError):
        return b""


def _object(data: bytes) -> dict[str, Any] | None:
    if len(data) > _LARGEST:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
