"""The ZIP of an export, written front to back: no file and no record of it is ever whole in memory but one.

Names of files are the exporters' own constants, and times the export's: nothing that a user chose names a file.
The manifest comes last: name, size and SHA-256 of every file, signed as a compact JWS (ES256).
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from chatapi.certificates import MANIFEST, Signer, seal

_BLOCK = 64 * 1024


class Sink(Protocol):
    """Where the bytes go. Nothing is there for anyone before `commit`."""

    def write(self, data: bytes) -> None:
        """Take bytes."""
        ...

    def commit(self) -> None:
        """Make it readable."""
        ...

    def abort(self) -> None:
        """Take it all back. Safe after a commit: then it does nothing."""
        ...


class _Stream(io.RawIOBase):
    """A sink as the file that `zipfile` writes to: it cannot seek, so sizes follow their data."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        block = bytes(data)
        self._sink.write(block)
        return len(block)


class _Entry:
    """A file that is being written."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self.size = self.records = 0

    def write(self, data: bytes) -> None:
        """Bytes of it."""
        self._out.write(data)
        self._digest.update(data)
        self.size += len(data)

    def line(self, value: Mapping[str, Any]) -> None:
        """A record as one line of JSON. Line separators of Unicode are escaped: a line is a line for every reader."""
        self.write(json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode() + b"\n")
        self.records += 1

    def digest(self) -> str:
        """SHA-256 so far, in hex."""
        return self._digest.hexdigest()


class Archive:
    """A ZIP on its way into a sink. `made` dates every file in it, POSIX seconds."""

    def __init__(self, sink: Sink, made: int) -> None:
        self._zip = zipfile.ZipFile(_Stream(sink), "w", zipfile.ZIP_DEFLATED)
        self._date = time.gmtime(made)[:6]
        self.files: list[dict[str, Any]] = []

    @contextmanager
    def file(self, name: str, what: str) -> Iterator[_Entry]:
        """A new file. `what` says in one sentence what is in it."""
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as out:
            entry = _Entry(out)
            yield entry
        described = {"name": name, "what": what, "records": entry.records}
        self.files.append({**described, "bytes": entry.size, "sha256": entry.digest()})

    def lines(self, name: str, what: str, records: Iterable[Mapping[str, Any]]) -> int:
        """A file of JSON Lines; how many there were."""
        with self.file(name, what) as out:
            for record in records:
                out.line(record)
        return out.records

    def finish(self, facts: Mapping[str, Any], signer: Signer) -> None:
        """The signed manifest, and the end of the ZIP."""
        document = seal({"object": MANIFEST, **facts, "files": self.files}, signer, MANIFEST)
        with self._zip.open(zipfile.ZipInfo("manifest.json", self._date), "w") as out:
            for start in range(0, len(document), _BLOCK):
                out.write(document[start : start + _BLOCK])
        self._zip.close()


def cell(value: object) -> str:
    """A value for a CSV file that a spreadsheet takes for text: what begins like a formula gets an apostrophe (OWASP,
    "CSV Injection")."""
    text = str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%") else text
