"""Signature Version 4 for every AWS service but S3 (IAM User Guide, "Create a signed AWS API request")."""

from __future__ import annotations

import hashlib
import hmac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatapi.aws.credentials import Credentials

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ENCODE_SEGMENT = {byte: f"%{byte:02X}" for byte in range(256) if byte not in _UNRESERVED}
_ENCODE_PATH = {byte: code for byte, code in _ENCODE_SEGMENT.items() if byte != ord("/")}


def encode_segment(text: str) -> str:
    """Percent-encode one path segment for the wire (RFC 3986, section 2.3), ``/`` and ``:`` included."""
    return text.encode().decode("latin-1").translate(_ENCODE_SEGMENT)


class Signer:
    """Signs requests to one service in one region; the derived key is kept while secret and day stay the same."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._key: tuple[str, str, str, bytes] = ("", "", "", b"")

    def sign(
        self,
        credentials: Credentials,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        amz_date: str,
    ) -> dict[str, str]:
        """Return ``headers`` with ``x-amz-date``, ``x-amz-security-token`` and ``authorization`` added.

        ``target`` is the path and query exactly as they go on the wire, already percent-encoded. ``headers`` have
        lowercase names, contain ``host``, and are all signed. ``amz_date`` is UTC as ``20261123T101500Z``.
        Raises ValueError for a path with empty or dot segments: AWS would sign another path than the one it was sent.
        """
        return Form(self, credentials, method, target, headers).sign(body, amz_date)

    def scope_and_key(self, secret: str, day: str) -> tuple[str, bytes]:
        """The credential scope of a day and the key that is derived for it."""
        # One tuple, so that two threads never see halves of two keys.
        cached_secret, cached_day, scope, key = self._key
        if cached_day != day or cached_secret != secret:
            scope = f"{day}/{self._region}/{self._service}/aws4_request"
            key = f"AWS4{secret}".encode()
            for part in scope.split("/"):
                key = _hmac(key, part)
            self._key = (secret, day, scope, key)
        return scope, key


class Form:
    """What all requests to one target share that differ in body and date alone, put together once for all of them."""

    __slots__ = ("_after_date", "_before_date", "_headers", "_names", "_signer", "credentials")

    def __init__(
        self, signer: Signer, credentials: Credentials, method: str, target: str, headers: Mapping[str, str]
    ) -> None:
        self.credentials = credentials
        self._signer = signer
        self._headers = dict(headers)
        if credentials.token is not None:
            self._headers["x-amz-security-token"] = credentials.token
        path, _, query = target.partition("?")
        before = [method, _canonical_path(path), _canonical_query(query)]
        after = [""]
        for name, value in sorted(self._headers.items()):
            (before if name < "x-amz-date" else after).append(f"{name}:{' '.join(value.split())}")
        self._names = ";".join(sorted({*self._headers, "x-amz-date"}))
        self._before_date = "\n".join([*before, "x-amz-date:"])
        self._after_date = "\n".join([*after, "", self._names, ""])

    def sign(self, body: bytes, amz_date: str) -> dict[str, str]:
        """The headers of the request with this body and date. See :meth:`Signer.sign`."""
        credentials = self.credentials
        canonical = f"{self._before_date}{amz_date}{self._after_date}{hashlib.sha256(body).hexdigest()}"
        scope, key = self._signer.scope_and_key(credentials.secret_key, amz_date[:8])
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = _hmac(key, f"AWS4-HMAC-SHA256\n{amz_date}\n{scope}\n{digest}").hex()
        return {
            **self._headers,
            "x-amz-date": amz_date,
            "authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={self._names}, Signature={signature}",
        }


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _canonical_path(path: str) -> str:
    if path == "/":
        return path
    *inner, last = path[1:].split("/")
    if not path.startswith("/") or "" in inner or not {".", ".."}.isdisjoint([*inner, last]):
        raise ValueError("the path is not normalised")
    # "Each path segment must be URI-encoded twice (except for Amazon S3 which only gets URI-encoded once)."
    return path.translate(_ENCODE_PATH)


def _canonical_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else ()
    return "&".join(f"{name}={value}" for name, value in pairs)
