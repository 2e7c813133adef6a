"""Verify a certificate, a receipt or an export offline: `chatapi verify FILE --jwks FILE_OR_URL`."""

from __future__ import annotations

import hashlib
import json
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chatapi.certificates import RECEIPT, verify, verify_manifest, verify_receipt

_LARGEST = 1 << 20
_TIMEOUT = 10.0
_BLOCK = 1 << 16
_MANIFEST = "manifest.json"


def verify_file(path: Path, jwks: str) -> list[str]:
    """What is wrong with the certificate in a file, as fixed texts; empty where it holds.

    `jwks` is the file or the URL of the key set: `https`, or `http` on this machine. The certificate never chooses its
    own keys: whoever asks says where they come from.
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
            names = archive.namelist()
            if _MANIFEST not in names or archive.getinfo(_MANIFEST).file_size > _LARGEST:
                return ["the archive has no manifest"]
            manifest = _object(archive.read(_MANIFEST)) or {}
            findings = verify_manifest(manifest, keys)
            if findings:
                return findings
            listed = {entry["name"]: entry for entry in manifest["payload"]["files"]}
            if sorted(names) != sorted([*listed, _MANIFEST]):
                return ["the archive holds other files than its manifest names"]
            changed = [name for name, entry in listed.items() if not _whole(archive, name, entry)]
            return ["a file is not what the manifest says"] if changed else []
    # What zipfile raises for a damaged archive (ValueError too), an encrypted one (RuntimeError) and a compression that
    # it does not know (NotImplementedError, a RuntimeError).
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, RuntimeError):
        return ["the archive cannot be read"]


def _whole(archive: zipfile.ZipFile, name: str, entry: dict[str, Any]) -> bool:
    """Whether a file has the manifest's size and SHA-256. Never reads further than that size: no ZIP bomb unpacks."""
    digest, left = hashlib.sha256(), int(entry["bytes"]) + 1
    with archive.open(name) as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return left == 1 and digest.hexdigest() == entry["sha256"]


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
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
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
