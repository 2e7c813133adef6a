"""The message format, version 1. Specification with vectors: docs/vault-format.md.

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
from hmac import compare_digest
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC

from chatapi.vault.errors import InvalidCiphertext
from chatapi.vault.lp import lp

VERSION = 1
OVERHEAD = 75
"""Bytes that a sealed message is longer than its plain text."""

_LABEL = b"chatapi/msg/v1"
_BODY = 59
_NONCE = bytes(12)
_FRONT = Struct("27s 32s").unpack_from  # header, commitment
_DERIVED = Struct("32s 32s").unpack  # message key, commitment
_LARGE = 16384  # from here a view is cheaper than a copy


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

    __slots__ = ("_after", "_before")

    def __init__(self, tenant: str, table: str, pk: str, attribute: str, revision: int) -> None:
        self._before = lp(tenant, table, pk)
        self._after = lp(attribute, revision)

    @classmethod
    def of(cls, context: Context) -> Places:
        """The places that `context` is one of."""
        return cls(context.tenant, context.table, context.pk, context.attribute, context.revision)

    def block(self, header: bytes, sk: str) -> bytes:
        """What HKDF-Expand hashes behind the label: header | lp(context) | block counter 1 (RFC 5869, section 2.3)."""
        try:
            encoded = sk.encode()
        except UnicodeEncodeError:
            encoded = None
        if encoded is None:  # outside the handler: the cause carries the text
            raise ValueError("the text is not valid Unicode")
        return b"%b%bs%d:%b%b\x01" % (header, self._before, len(encoded), encoded, self._after)


class SubjectKeyMaterial:
    """A subject key, held only as a keyed HMAC-SHA512 that each message copies: the keying is paid once.

    `key` is exactly 64 bytes (ValueError otherwise): one fixed length below HMAC's block, so that no two keys are
    equivalent (HMAC pads short keys with zeros), which the commitment rests on.
    """

    __slots__ = ("_mac",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 64:
            raise ValueError("a subject key has 64 bytes")
        self._mac = HMAC(key, SHA512())
        self._mac.update(_LABEL)

    def derive(self, block: bytes) -> tuple[bytes, ...]:
        """Message key and commitment: HKDF-Expand to L = 64, which for HMAC-SHA512 is its first block alone."""
        mac = self._mac.copy()
        mac.update(block)
        return _DERIVED(mac.finalize())


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
    key, commitment = subject_key.derive(places.block(header, sk))
    return b"".join((header, commitment, AESGCM(key).encrypt(_NONCE, plaintext, header)))


def open_at(subject_key: SubjectKeyMaterial, places: Places, sk: str, sealed: bytes) -> bytes:
    """`open_` where the caller has chosen the key by the message's `front`."""
    size = len(sealed)
    if size < OVERHEAD:
        raise InvalidCiphertext
    header, stated = _FRONT(sealed)
    key, commitment = subject_key.derive(places.block(header, sk))
    if not compare_digest(commitment, stated):
        raise InvalidCiphertext
    try:
        return AESGCM(key).decrypt(_NONCE, sealed[_BODY:] if size < _LARGE else memoryview(sealed)[_BODY:], header)
    except InvalidTag:
        pass
    raise InvalidCiphertext
