"""An export's archive, looked at by somebody who trusts nothing in it: `chatapi verify`, and the re-import.

Nothing is unpacked to a disk, so no name in it is ever a path. What is read of a file is no more than its signed size.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

from chatapi.certificates import verify_manifest

MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 20
_BLOCK = 1 << 16
_END = 22
"""Bytes of a ZIP's end record without a comment (APPNOTE.TXT 4.3.16)."""
_ENTRIES, _DIRECTORY_BYTES = 64, 1 << 16
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that `zipfile` unpacks no further than it is asked to. Of bzip2 and LZMA it unpacks whatever a block of input
holds, gigabytes of it, before it looks at how much was wanted."""

# What zipfile raises for a damaged archive (ValueError too) and, as a kind of RuntimeError, for one that is encrypted
# or asks for a feature of ZIP that zipfile does not have.
DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, RuntimeError, EOFError)


def is_small(data: bytes) -> bool:
    """Whether an archive's directory is one that an export can have: read before `zipfile` is, which would make an
    object for each of a million entries."""
    end = data[-_END:]
    if len(end) < _END or end[:4] != b"PK\x05\x06" or data[-_END - 20 : -_END - 16] == b"PK\x06\x07":
        return False
    entries, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    return 0 < entries <= _ENTRIES and size <= _DIRECTORY_BYTES


def manifest_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    """What claims to be the manifest; None where there is none. One of DAMAGED."""
    if any(entry.compress_type not in _COMPRESSIONS for entry in archive.infolist()):
        raise zipfile.BadZipFile
    if MANIFEST not in archive.namelist() or archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
        return None
    raw = _bounded(archive.open(MANIFEST))
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def findings(archive: zipfile.ZipFile, keys: Mapping[str, Any], most: int | None = None) -> list[str]:
    """What is wrong with an export, as fixed texts; empty where it holds. `keys` is a JWK set, `most` the bytes that
    all files may have together. One of DAMAGED where it cannot be read."""
    manifest = manifest_of(archive)
    if manifest is None:
        return ["the archive has no manifest"]
    if wrong := verify_manifest(manifest, keys):
        return wrong
    listed = {entry["name"]: entry for entry in manifest["payload"]["files"]}
    if sorted(archive.namelist()) != sorted([*listed, MANIFEST]):
        return ["the archive holds other files than its manifest names"]
    if most is not None and sum(int(entry["bytes"]) for entry in listed.values()) > most:
        return ["the archive is larger than what is taken"]
    changed = [name for name, entry in listed.items() if not _whole(archive, name, entry)]
    return ["a file is not what the manifest says"] if changed else []


def _whole(archive: zipfile.ZipFile, name: str, entry: Mapping[str, Any]) -> bool:
    """Whether a file has the manifest's size and SHA-256. Never reads further than that size: no ZIP bomb unpacks."""
    digest, left = hashlib.sha256(), int(entry["bytes"]) + 1
    with archive.open(name) as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return left == 1 and digest.hexdigest() == entry["sha256"]


def _bounded(file: IO[bytes]) -> bytes:
    with file:
        data = file.read(MANIFEST_BYTES + 1)
    if len(data) > MANIFEST_BYTES:
        raise ValueError("the manifest is too large")
    return data
