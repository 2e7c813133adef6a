"""The message format, version 1. Specification with vectors: docs/vault.md.

    0    1       3         27         59                        n-16   n
    | ver | keyver | salt    | commit   | AES-256-GCM ciphertext | tag |
    '---- header: 27 bytes --'

    T = HKDF-Expand-SHA512(subject key of 64 bytes,
                           "chatapi/msg/v1" | header | lp(tenant, table, pk, sk, attribute, revision), L = 64)
    K = T[:32]   commit = T[32:]   nonce = 0^12 (K is used once)   associated data = header

The context is never stored, so nobody can leave it out. Salts come from `os.urandom` only: OpenSSL's own generator
would be cloned by a Lambda SnapStart snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import sha512 as _openssl_sha512
from hmac import compare_digest
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatapi.vault.errors import InvalidCiphertext
from chatapi.vault.lp import lp, utf8

if TYPE_CHECKING:
    _sha512 = _openssl_sha512
else:
    # CPython's own SHA-512 (from 3.12 on HACL*, formally verified): for two blocks the context that OpenSSL allocates
    # costs as much as the hashing, and this runs for every message. hashlib's where an interpreter has none.
    try:
        from _sha2 import sha512 as _sha512  # 3.12 and later
    except ImportError:
        try:
            from _sha512 import sha512 as _sha512
        except ImportError:
            _sha512 = _openssl_sha512

VERSION = 1
OVERHEAD = 75
"""Bytes that a sealed message is longer than its plain text."""

_LABEL = b"chatapi/msg/v1"
_BODY = 59
_NONCE = bytes(12)
_TEXT = [b"s%d:" % size for size in range(1025)]  # lp's front of a text; a sort key has at most 1,024 bytes
_LARGE = 16384  # from here a copy costs more than what avoids it


class Context(NamedTuple):
    """Where a message belongs. All six are bound into its key; a message that was moved does not open.

    `table` is the store's logical name (a restored table has another physical one); `revision` counts the row's
    rewrites, so that attributes of two revisions cannot be mixed.
    """

    tenant: str
    table: str
    pk: str
    sk: str
    attribute: str
    revision: int


class Places:
    """The contexts of rows that differ in `sk` alone, encoded once but for the `sk`: this runs for every message.

    ValueError with a fixed text where a part is not valid Unicode.
    """

    __slots__ = ("after", "before")

    def __init__(self, tenant: str, table: str, pk: str, attribute: str, revision: int) -> None:
        self.before = lp(tenant, table, pk)
        self.after = lp(attribute, revision) + b"\x01"  # with the block counter

    @classmethod
    def of(cls, context: Context) -> Places:
        """The places that `context` is one of."""
        return cls(context.tenant, context.table, context.pk, context.attribute, context.revision)


class SubjectKeyMaterial:
    """A subject key, held only as the two keyed halves of HMAC-SHA512 (RFC 2104) that each message copies: the keying
    is paid once.

    `key` is exactly 64 bytes (ValueError otherwise): one fixed length below HMAC's block, so that no two keys are
    equivalent (HMAC pads short keys with zeros), which the commitment rests on.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) != 64:
            raise ValueError("a subject key has 64 bytes")
        block = key.ljust(128, b"\0")
        self._inner = _sha512(bytes(byte ^ 0x36 for byte in block) + _LABEL)
        self._outer = _sha512(bytes(byte ^ 0x5C for byte in block))

    @property
    def halves(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Make copies of the inner and of the outer keyed half."""
        return self._inner.copy, self._outer.copy

    def derive(self, header: bytes, places: Places, sk: str) -> bytes:
        """Message key and commitment, 32 bytes each: HKDF-Expand to L = 64, which for HMAC-SHA512 is its first block
        alone, of header | lp(context) | block counter 1 behind the label (RFC 5869, section 2.3)."""
        encoded = utf8(sk)
        size = len(encoded)
        text = _TEXT[size] if size <= 1024 else b"s%d:" % size
        inner, outer = self._inner.copy(), self._outer.copy()  # `digest`, less a call
        inner.update(b"".join((header, places.before, text, encoded, places.after)))
        outer.update(inner.digest())
        return outer.digest()

    def digest(self, data: bytes) -> bytes:
        """HMAC-SHA512 of the label and `data`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


def seal(subject_key: SubjectKeyMaterial, keyver: int, context: Context, plaintext: bytes) -> bytes:
    """Encrypt `plaintext` for one place. Returns `OVERHEAD` bytes more. `keyver`: 0 to 65535, the key's version.

    ValueError where the context is not valid Unicode.
    """
    return seal_at(subject_key, front(keyver), Places.of(context), context.sk, plaintext)


def open_(subject_key: SubjectKeyMaterial, keyver: int, context: Context, sealed: bytes) -> bytes:
    """The plain text of `sealed` if it was sealed under this key and keyver for this very place.

    InvalidCiphertext for everything else. The commitment is compared in constant time before any AES is done, so a
    message is never decrypted under a key other than its own.
    """
    if sealed[:3] != front(keyver):
        raise InvalidCiphertext
    return open_at(subject_key, Places.of(context), context.sk, sealed)


def front(keyver: int) -> bytes:
    """The first three bytes of what is sealed under `keyver`. A subject's key is chosen by them, never by trial."""
    return bytes((VERSION,)) + keyver.to_bytes(2, "big")


def keyver_of(sealed: bytes) -> int:
    """The version of the subject key that `sealed` names. InvalidCiphertext if it is not of this format."""
    if len(sealed) < 3 or sealed[0] != VERSION:
        raise InvalidCiphertext
    return int.from_bytes(sealed[1:3], "big")


def seal_at(subject_key: SubjectKeyMaterial, front: bytes, places: Places, sk: str, plaintext: bytes) -> bytes:
    """`seal` with all that can be made beforehand."""
    return _seal(subject_key, front + os.urandom(24), places, sk, plaintext)


def _seal(subject_key: SubjectKeyMaterial, header: bytes, places: Places, sk: str, plaintext: bytes) -> bytes:
    """`seal` with the salt given. For known-answer vectors only: a repeated salt would repeat key and nonce."""
    derived = subject_key.derive(header, places, sk)
    if len(plaintext) < _LARGE:
        return b"".join((header, derived[32:], AESGCM(derived[:32]).encrypt(_NONCE, plaintext, header)))
    # One buffer for all of it, which AES writes into and `getvalue` hands over without a copy.
    buffer = BytesIO(header + derived[32:])
    buffer.seek(len(plaintext) + OVERHEAD - 1)
    buffer.write(b"\0")
    body = buffer.getbuffer()[_BODY:]
    AESGCM(derived[:32]).encrypt_into(_NONCE, plaintext, header, body)
    body.release()
    return buffer.getvalue()


def open_at(subject_key: SubjectKeyMaterial, places: Places, sk: str, sealed: bytes) -> bytes:
    """`open_` where the caller has chosen the key by the message's `front`."""
    size = len(sealed)
    if size < OVERHEAD:
        raise InvalidCiphertext
    header = sealed[:27]
    derived = subject_key.derive(header, places, sk)
    if not compare_digest(derived[32:], sealed[27:_BODY]):
        raise InvalidCiphertext
    try:
        body = sealed[_BODY:] if size < _LARGE else memoryview(sealed)[_BODY:]
        return AESGCM(derived[:32]).decrypt(_NONCE, body, header)
    except InvalidTag:
        pass
    raise InvalidCiphertext


def open_rows(
    rows: Iterable[tuple[str, int, bytes]], prepare: Callable[[bytes, int], tuple[SubjectKeyMaterial, Places]]
) -> list[bytes]:
    """`open_at` for many rows (sk, revision, sealed). `prepare(front, revision)` gives key and places, and is asked
    again only where a row differs from the one before. The steps of `open_at` in one loop: the calls between functions
    were a tenth of what a history costs. A property test holds the two equal."""
    aes, equal, join, text, plain, keyver, last = AESGCM, compare_digest, b"".join, _TEXT, list[bytes](), b"", -1
    try:
        for sk, revision, sealed in rows:
            if revision != last or sealed[:3] != keyver:
                keyver, last = sealed[:3], revision
                material, places = prepare(keyver, revision)
                inner_of, outer_of = material.halves
                before, after = places.before, places.after
            header, encoded = sealed[:27], sk.encode()
            inner, outer = inner_of(), outer_of()
            inner.update(join((header, before, text[len(encoded)], encoded, after)))
            outer.update(inner.digest())
            derived = outer.digest()
            if len(sealed) < OVERHEAD or not equal(derived[32:], sealed[27:_BODY]):
                raise InvalidCiphertext
            plain.append(aes(derived[:32]).decrypt(_NONCE, sealed[_BODY:], header))
    except (InvalidTag, UnicodeEncodeError, IndexError):
        pass
    else:
        return plain
    raise InvalidCiphertext  # outside the handler: a cause may carry the text
