"""The X.509 certificate of the key that signs OpenDSR answers (RFC 5280), and its request for a certificate authority.

The key is in KMS and never leaves it: `cryptography` builds the certificate and hands its bytes to KMS for the
signature. OpenDSR 2.0, section 4.1, wants a certificate that a trusted authority issued: the template's parameter
`OpenDsrCertificate` takes one. Until then a self-signed one is served: it carries the right key, and nothing vouches
for it but the TLS connection that it was fetched through.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from chatapi.certificates import Signer, unb64url

_BACK, _TERM = timedelta(days=1), timedelta(days=397)


def der_signature(signer: Signer, message: bytes) -> bytes:
    """ECDSA over SHA-256 in DER, as X.509 tools verify it (`openssl dgst -sha256 -verify`)."""
    raw = signer.sign(message)
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def public_key(signer: Signer) -> ec.EllipticCurvePublicKey:
    """The signer's public key."""
    jwk = signer.jwk()
    x, y = (int.from_bytes(unb64url(jwk[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


class _RemoteKey(ec.EllipticCurvePrivateKey):
    """A private key that can only sign, since it is somewhere else."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        del signature_algorithm  # the builders below ask for ECDSA over SHA-256 alone
        return der_signature(self._signer, bytes(data))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return public_key(self._signer)

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def _stays(self, *_: Any, **__: Any) -> NoReturn:
        """What `cryptography` can ask of a private key in memory, and no builder here asks of one in KMS."""
        raise UnsupportedAlgorithm("this key signs and cannot be read: it is in the key service")

    exchange = private_numbers = private_bytes = _stays

    def __copy__(self) -> _RemoteKey:
        return self

    def __deepcopy__(self, memo: Any) -> _RemoteKey:
        return self


def self_signed(signer: Signer, domain: str, now: float) -> str:
    """A certificate of the key for a domain, signed by itself, in PEM. Valid for 397 days from the day before."""
    name, today = _name(domain), datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    serial = hashlib.sha256(f"{signer.jwk()['kid']} {domain} {today}".encode()).digest()[:16]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key(signer))
        .serial_number(int.from_bytes(serial, "big") >> 1 or 1)
        .not_valid_before(today - _BACK)
        .not_valid_after(today + _TERM)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(_RemoteKey(signer), SHA256()).public_bytes(Encoding.PEM).decode()


def signing_request(signer: Signer, domain: str) -> str:
    """A certificate signing request of the key for a domain (RFC 2986), in PEM: for the authority of your choice."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(domain))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
    return builder.sign(_RemoteKey(signer), SHA256()).public_bytes(Encoding.PEM).decode()


def _name(domain: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
