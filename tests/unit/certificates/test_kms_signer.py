"""The signer on KMS: what it sends, and what it makes of the answers."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatapi.certificates import raw_signature
from chatapi.kms_signer import KmsSigner, UnusableKey

ARN = "arn:aws:kms:eu-central-1:000000000000:key/signing"


class Kms:
    """Answers as KMS does, and keeps what it was asked."""

    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self.key = ec.generate_private_key(curve or ec.SECP256R1())
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, payload))
        if operation == "GetPublicKey":
            der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {"PublicKey": base64.b64encode(der).decode()}
        signature = self.key.sign(base64.b64decode(payload["Message"]), ec.ECDSA(Prehashed(SHA256())))
        return {"Signature": base64.b64encode(signature).decode()}


def test_only_a_digest_is_sent() -> None:
    kms = Kms()
    signer = KmsSigner(kms, ARN)
    message = b"canary" * 2000
    raw = signer.sign(message)
    ((operation, payload),) = kms.calls
    assert operation == "Sign"
    assert payload == {
        "KeyId": ARN,
        "Message": base64.b64encode(hashlib.sha256(message).digest()).decode(),
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    kms.key.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


def test_the_public_key_is_read_once() -> None:
    kms = Kms()
    signer = KmsSigner(kms, ARN)
    jwk = signer.jwk()
    numbers = kms.key.public_key().public_numbers()
    x = base64.urlsafe_b64encode(numbers.x.to_bytes(32, "big")).rstrip(b"=").decode()
    assert (jwk["x"], jwk["crv"], jwk["alg"], jwk["use"]) == (x, "P-256", "ES256", "sig")
    jwk["kid"] = "changed by a caller"
    assert signer.jwk()["kid"] != "changed by a caller"
    assert len(kms.calls) == 1


def test_a_key_on_another_curve_is_refused() -> None:
    with pytest.raises(UnusableKey):
        KmsSigner(Kms(ec.SECP256K1()), ARN).jwk()


def test_short_numbers_are_padded() -> None:
    """RFC 7518, section 3.4: r and s are 32 bytes each, whatever their value."""
    assert raw_signature(encode_dss_signature(1, 2)) == bytes(31) + b"\1" + bytes(31) + b"\2"
