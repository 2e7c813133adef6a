"""A canary: a unique string planted somewhere, then searched for everywhere, plain or encoded."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote


class Canary:
    """A planted string and its disguises: UTF-8, base64 at each of its three alignments, hexadecimal, escapes."""

    def __init__(self, name: str, text: str | None = None) -> None:
        self.text = text or f"canary-{name}-Zq7!häh"
        raw = self.text.encode()
        self._plain = [
            raw,
            self.text.encode("utf-16-le"),
            quote(self.text).encode(),
            json.dumps(self.text)[1:-1].encode(),
        ]
        self._hex = raw.hex().encode()
        self._base64 = []
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + raw)
            # The first and last letters depend on the neighbours: leave them out.
            self._base64.append(encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4])

    def found_in(self, haystack: bytes) -> bool:
        """Whether any disguise of the canary is in the bytes, also where those are base64 themselves."""
        return bool(which([self], haystack))

    def _in(self, haystack: bytes) -> bool:
        urlsafe = haystack.replace(b"-", b"+").replace(b"_", b"/")
        return (
            any(plain in haystack for plain in self._plain)
            or self._hex in haystack.lower()
            or any(encoded in haystack or encoded in urlsafe for encoded in self._base64)
        )


def which(canaries: Sequence[Canary], haystack: bytes) -> list[Canary]:
    """Those that are in the bytes in any disguise, also where the bytes are base64 themselves."""
    decoded = [haystack, *_decoded(haystack)]
    return [canary for canary in canaries if any(canary._in(text) for text in decoded)]


def _decoded(haystack: bytes) -> list[bytes]:
    found = []
    for run in re.findall(rb"[A-Za-z0-9+/_-]{24,}={0,2}", haystack):
        text = run.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        found.append(base64.b64decode(text + b"=" * (-len(text) % 4) if len(text) % 4 != 1 else text[:-1] + b"=="))
    return found


def as_bytes(value: Any) -> bytes:
    """Anything as bytes to search: structures as JSON with their bytes in base64."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return json.dumps(value, ensure_ascii=False, default=lambda x: base64.b64encode(x).decode()).encode()
