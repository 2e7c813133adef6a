"""A second reading of docs/vault-format.md that shares no code with the product: what an auditor would write.

It opens, seals and encodes with nothing but the specification's own words, HKDFExpand and AESGCM.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


def encode(context: list[str | int]) -> bytes:
    """Each part: a letter for its type, the payload's length in decimal, a colon, the payload."""
    encoded = bytearray()
    for part in context:
        payload = part.encode("utf-8") if isinstance(part, str) else str(part).encode("ascii")
        encoded += (b"s" if isinstance(part, str) else b"i") + str(len(payload)).encode("ascii") + b":" + payload
    return bytes(encoded)


def derive(subject_key: bytes, header: bytes, context: list[str | int]) -> tuple[bytes, bytes]:
    """Message key and commitment."""
    info = b"chatapi/msg/v1" + header + encode(context)
    okm = HKDFExpand(hashes.SHA512(), 64, info).derive(subject_key)
    return okm[0:32], okm[32:64]


def decrypt(subject_key: bytes, context: list[str | int], sealed: bytes) -> bytes:
    """The plain text; ValueError or InvalidTag otherwise."""
    if sealed[0] != 1:
        raise ValueError("version")
    header, commitment, rest = sealed[0:27], sealed[27:59], sealed[59:]
    key, expected = derive(subject_key, header, context)
    if not hmac.compare_digest(commitment, expected):
        raise ValueError("commitment")
    return AESGCM(key).decrypt(bytes(12), rest, header)


def encrypt(subject_key: bytes, keyver: int, context: list[str | int], salt: bytes, plaintext: bytes) -> bytes:
    """The one sealed message that these inputs have."""
    header = b"\x01" + keyver.to_bytes(2, "big") + salt
    key, commitment = derive(subject_key, header, context)
    return header + commitment + AESGCM(key).encrypt(bytes(12), plaintext, header)
