"""The adapter of the port `Signer` on AWS KMS (API reference, "Sign" and "GetPublicKey").

The digest is sent, not the message: KMS takes at most 4096 bytes, and the content of a certificate is none of its
business. The public key is read once per warm function.
"""

from __future__ import annotations

import base64
import hashlib

from chatapi.aws.calling import Caller
from chatapi.certificates import p256_jwk, raw_signature

# SubjectPublicKeyInfo of a P-256 key in DER (RFC 5480): this head, then 04 | x | y.
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


class UnusableKey(RuntimeError):
    """The signing key is not an ECC_NIST_P256 key."""

    def __init__(self) -> None:
        super().__init__("the signing key is not on P-256")


class KmsSigner:
    """Signs with one KMS key (ECC_NIST_P256, SIGN_VERIFY), named by its ARN. Errors of the client pass through."""

    def __init__(self, client: Caller, key_arn: str) -> None:
        self._client = client
        self._key_arn = key_arn
        self._jwk: dict[str, str] | None = None

    def jwk(self) -> dict[str, str]:
        """See `Signer`."""
        if self._jwk is None:
            der = base64.b64decode(self._client.call("GetPublicKey", {"KeyId": self._key_arn})["PublicKey"])
            if len(der) != len(_SPKI) + 64 or not der.startswith(_SPKI):
                raise UnusableKey
            self._jwk = p256_jwk(der[-64:-32], der[-32:])
        return dict(self._jwk)

    def sign(self, message: bytes) -> bytes:
        """See `Signer`."""
        request = {
            "KeyId": self._key_arn,
            "Message": base64.b64encode(hashlib.sha256(message).digest()).decode(),
            "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        }
        return raw_signature(base64.b64decode(self._client.call("Sign", request)["Signature"]))
