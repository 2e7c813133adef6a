"""Certificates of data-rights requests: canonical JSON, signed as JWS (RFC 7515) with ES256, verified offline.

    {"object": "privacy.certificate", "request": id, "payload": {…}, "jws": "header.payload.signature"}

`payload` repeats what the signature covers, for reading. Its `ledger` proves an entry of the ledger, which commits to
the canonical bytes of the payload without it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from chatapi.ledger import proof_holds

VERSION = 1
TYPE = "vnd.chatapi.certificate+json"
MANIFEST = "privacy.manifest"
RECEIPT = "privacy.consent_receipt"
OUTCOMES = frozenset(
    {
        "deleted",
        "shredded",
        "held",
        "nothing_found",
        "failed",
        "exported",
        "corrected",
        "kept_beside",
        "recorded",
        "imported",
    }
)


class Signer(Protocol):
    """A P-256 key that signs. KMS in production."""

    def jwk(self) -> dict[str, str]:
        """The public key as a JWK (RFC 7517) with its `kid`."""
        ...

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256 of the message: r and s, 32 bytes each (RFC 7518, section 3.4)."""
        ...


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8, integers only.

    ValueError for floats (they have more than one text) and for keys that are not ASCII (their order could differ).
    """
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _check(value: Any) -> None:
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key.isascii() for key in value):
            raise ValueError("keys are ASCII text")
        for inner in value.values():
            _check(inner)
    elif isinstance(value, list):
        for inner in value:
            _check(inner)
    elif not isinstance(value, str | int | None):  # bool is an int
        raise ValueError("canonical JSON holds objects, arrays, texts, integers, booleans and null")


def thumbprint(x: str, y: str) -> str:
    """The key id of a P-256 key: its JWK thumbprint (RFC 7638)."""
    return b64url(hashlib.sha256(canonical({"crv": "P-256", "kty": "EC", "x": x, "y": y})).digest())


def p256_jwk(x: bytes, y: bytes) -> dict[str, str]:
    """The JWK of a public P-256 key for ES256, from its coordinates of 32 bytes each."""
    names = b64url(x), b64url(y)
    jwk = {"kty": "EC", "crv": "P-256", "x": names[0], "y": names[1]}
    return {**jwk, "kid": thumbprint(*names), "alg": "ES256", "use": "sig"}


def raw_signature(der: bytes) -> bytes:
    """r and s as 32 bytes each, from the DER form that KMS and OpenSSL give."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def commitment_digest(payload: Mapping[str, Any]) -> bytes:
    """What the ledger's entry commits to: SHA-256 of the canonical payload without its `ledger`."""
    return hashlib.sha256(canonical({name: value for name, value in payload.items() if name != "ledger"})).digest()


def issue(payload: dict[str, Any], signer: Signer) -> bytes:
    """The signed certificate document, as the bytes that every later call answers."""
    return seal(payload, signer, "privacy.certificate")


def seal(payload: dict[str, Any], signer: Signer, kind: str) -> bytes:
    """A signed document of a kind: `{"object": kind, "request", "payload", "jws"}` as canonical bytes."""
    return canonical(
        {"object": kind, "request": payload["request"], "payload": payload, "jws": _signed(payload, signer)}
    )


def seal_receipt(receipt: Mapping[str, Any], signer: Signer) -> bytes:
    """A receipt of a choice with its `jws` as one more field: that covers all the others."""
    return canonical({**receipt, "jws": _signed(dict(receipt), signer)})


def verify_receipt(receipt: Mapping[str, Any], jwks: Mapping[str, Any]) -> list[str]:
    """What is wrong with a receipt of a choice, as fixed texts; empty where it holds. Offline, for any input at all."""
    payload = {name: value for name, value in receipt.items() if name != "jws"}
    if payload.get("object") != RECEIPT or not isinstance(payload.get("record"), dict):
        return ["not a receipt"]
    if receipt.get("jws") is None:
        return [Unsigned("the receipt is not signed yet")]
    try:
        return _signature(receipt["jws"], payload, jwks)
    except (ValueError, RecursionError):
        return ["the payload is not canonical"]


def _signed(payload: dict[str, Any], signer: Signer) -> str:
    header = {"alg": "ES256", "kid": signer.jwk()["kid"], "typ": TYPE}
    signed = f"{b64url(canonical(header))}.{b64url(canonical(payload))}"
    return f"{signed}.{b64url(signer.sign(signed.encode()))}"


class Unsigned(str):
    """A finding that says: this is not what a trusted key signed. All other findings are of something else."""


def verify_manifest(document: Mapping[str, Any], jwks: Mapping[str, Any]) -> list[str]:
    """What is wrong with an export's manifest, as fixed texts; empty where it holds. The files are compared by whoever
    has them (chatapi_cli.verify)."""
    payload = document.get("payload")
    if document.get("object") != MANIFEST or not isinstance(payload, dict):
        return ["not a manifest"]
    try:
        findings = _signature(document.get("jws"), payload, jwks)
    except (ValueError, RecursionError):
        return ["the payload is not canonical"]
    if payload.get("object") != MANIFEST or payload.get("version") != VERSION:
        findings.append("a version that this verifier does not know")
    if payload.get("request") != document.get("request"):
        findings.append("the manifest names another request than its payload")
    return findings


def verify(certificate: Mapping[str, Any], jwks: Mapping[str, Any]) -> list[str]:
    """What is wrong with a certificate, as fixed texts; empty where it holds. Offline, and for any input at all.

    `jwks` is a JWK set (RFC 7517), that of `GET /.well-known/jwks.json`, obtained from a source that is trusted.
    """
    payload = certificate.get("payload")
    if certificate.get("object") != "privacy.certificate" or not isinstance(payload, dict):
        return ["not a certificate"]
    try:
        findings = _signature(certificate.get("jws"), payload, jwks)
        if payload.get("version") != VERSION:
            return [*findings, "a version that this verifier does not know"]
        ledger = payload.get("ledger")
        if not isinstance(ledger, dict) or not proof_holds(ledger, commitment_digest(payload)):
            findings.append("the ledger's proof does not hold")
    except (ValueError, RecursionError):
        return ["the payload is not canonical"]
    if payload.get("request") != certificate.get("request"):
        findings.append("the certificate names another request than its payload")
    return findings + _statements(payload)


def _signature(jws: object, payload: dict[str, Any], jwks: Mapping[str, Any]) -> list[str]:
    """What is wrong with the signature, as `Unsigned`. ValueError for a payload that is not canonical."""
    wanted = canonical(payload)
    try:
        head, body, signature = str(jws).split(".")
        header = json.loads(unb64url(head))
        if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"} or header["alg"] != "ES256":
            return [Unsigned("the signature is not ES256 with a key id")]
        key = _key(jwks, header["kid"])
        if key is None:
            return [Unsigned("the signing key is not in the key set")]
        raw = unb64url(signature)
        if len(raw) != 64:
            return [Unsigned("the signature does not hold")]
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(der, f"{head}.{body}".encode(), ec.ECDSA(SHA256()))
        return [] if unb64url(body) == wanted else [Unsigned("the payload is not what was signed")]
    except (ValueError, InvalidSignature):
        return [Unsigned("the signature does not hold")]


def _key(jwks: Mapping[str, Any], kid: object) -> ec.EllipticCurvePublicKey | None:
    keys = jwks.get("keys")
    for jwk in keys if isinstance(keys, list) else ():
        if isinstance(jwk, dict) and jwk.get("kid") == kid and (jwk.get("kty"), jwk.get("crv")) == ("EC", "P-256"):
            x, y = (int.from_bytes(unb64url(str(jwk.get(name))), "big") for name in "xy")
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return None


def _statements(payload: dict[str, Any]) -> list[str]:
    findings = []
    stores = payload.get("stores")
    if not isinstance(stores, list) or not stores or not all(isinstance(store, dict) for store in stores):
        return ["no store is accounted for"]
    for store in stores:
        outcome, count = store.get("outcome"), store.get("count")
        if not isinstance(outcome, str) or outcome not in OUTCOMES or type(count) is not int or count < 0:
            findings.append("a store has an outcome that is none")
        elif outcome == "failed":
            findings.append("a store has failed")
        elif (outcome == "nothing_found") != (count == 0):
            findings.append("a store's outcome and its count contradict each other")
    if not {"vault", "records"} <= {store.get("store") for store in stores if isinstance(store.get("store"), str)}:
        findings.append("the vault or the records are not accounted for")
    canary = payload.get("canary")
    shredded = any(store.get("outcome") == "shredded" for store in stores)
    if (shredded or canary is not None) and (not isinstance(canary, dict) or canary.get("opens") is not False):
        findings.append("the canary is not shown to be unreadable")
    return findings


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    """The bytes of the one base64url text for them; ValueError for any other text, so that no two signatures differ
    in spelling alone."""
    try:
        data = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64url") from None
    if b64url(data) != text:
        raise ValueError("not base64url")
    return data


class MemorySigner:
    """A `Signer` with its key in memory: for tests, and the reference of what the adapter does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.signatures = 0

    def jwk(self) -> dict[str, str]:
        """See `Signer`."""
        numbers = self._key.public_key().public_numbers()
        return p256_jwk(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))

    def sign(self, message: bytes) -> bytes:
        """See `Signer`."""
        self.signatures += 1
        digest = hashlib.sha256(message).digest()
        return raw_signature(self._key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
