"""API keys: format, minting, and the checks that need no store.

    chatapi_live_<project 8><kid 2><secret 32><tag 9><crc 6>

- `crc`: CRC-32 of all before it, so that secret scanners and typing mistakes are told apart without a secret.
- `tag`: a truncated HMAC-SHA256 under the mint key, so that a forged key is refused with no I/O; a flood of guesses can
  neither burn a victim's capacity nor cost a write.
- At rest only HMAC-SHA256(pepper, key) is kept: 190 random bits gain nothing from a slow password hash, and the
  comparison is DynamoDB's own condition, so there is no timing oracle.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import NamedTuple

from chatapi.ids import base62, random62

PREFIX = "chatapi_live_"
SCOPES = ("chat", "history", "privacy", "keys", "usage")
_LENGTH = len(PREFIX) + 8 + 2 + 32 + 9 + 6


class KeyParts(NamedTuple):
    """What a well-formed key says of itself: the project (8 characters) and the key's id in it (2)."""

    project: str
    kid: str


def _tag(mint: bytes, text: str) -> str:
    digest = hmac.digest(mint, b"chatapi/key-tag/v1\0" + text.encode("ascii"), hashlib.sha256)
    return base62(int.from_bytes(digest[:8], "big") % 62**9, 9)


def _crc(text: str) -> str:
    return base62(zlib.crc32(text.encode("ascii")), 6)


def mint_key(mint: bytes, project: str, kid: str) -> str:
    """A new key for `kid` of `project`, 70 characters. It is shown once and never stored."""
    if len(project) != 8 or len(kid) != 2:
        raise ValueError("a project id has 8 characters, a key id 2")
    text = PREFIX + project + kid + random62(32)
    text += _tag(mint, text)
    return text + _crc(text)


def check_key(mint: bytes, key: str) -> KeyParts | None:
    """The parts of a key that this deployment minted, or None. Cheap tests first; no I/O; constant-time on the tag."""
    if len(key) != _LENGTH or not key.startswith(PREFIX):
        return None
    if not (key.isascii() and key[len(PREFIX) :].isalnum()):  # of ASCII these are the letters of base62
        return None
    if _crc(key[:-6]) != key[-6:]:
        return None
    if not hmac.compare_digest(_tag(mint, key[:-15]), key[-15:-6]):
        return None
    start = len(PREFIX)
    return KeyParts(key[start : start + 8], key[start + 8 : start + 10])


def hash_key(pepper: bytes, key: str) -> bytes:
    """What the store keeps of a key: 32 bytes."""
    return hmac.digest(pepper, b"chatapi/key/v1\0" + key.encode("ascii"), hashlib.sha256)


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer TOKEN` header (RFC 6750, scheme in any case), or None."""
    if not authorization or len(authorization) > 256:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
