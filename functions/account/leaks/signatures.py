"""Whether a report comes from the partner: ECDSA P-256 with SHA-256 over the body as it came.

Source: GitHub Docs, "Secret scanning partner program" (headers `Github-Public-Key-Identifier` and
`Github-Public-Key-Signature`; key set `{"public_keys": [{"key_identifier", "key", "is_current"}]}`). Without a key set
every report is refused.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from chatapi.clock import Clock

MAX_SET = 64 * 1024
KEEP_SECONDS = 3600.0
"""How long a fetched set is good."""
PAUSE_SECONDS = 10.0
"""How long a partner that did not answer is not asked again, whatever is reported meanwhile."""
ASK_AGAIN_SECONDS = 60.0
"""How often an unknown identifier may lead to a further fetch: forgeries must not turn this into a flood of the
partner."""
FETCH_SECONDS = 3.0

Keys = dict[str, ec.EllipticCurvePublicKey]


class KeysUnreachable(Exception):
    """The partner's key set cannot be had now. Its report is worth sending again."""


class PublicKeys:
    """The partner's keys. `fetch` gives the set as JSON, or raises OSError, HTTPException or ValueError; None where no
    partner is configured."""

    def __init__(self, fetch: Callable[[], bytes] | None, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Keys = {}
        self._fetched = self._failed = float("-inf")

    def signed(self, identifier: str | None, signature: str | None, body: bytes) -> bool:
        """Whether `body` carries a signature of the key that `identifier` names. KeysUnreachable where that cannot be
        told now."""
        if self._fetch is None or not identifier or not signature or max(len(identifier), len(signature)) > 256:
            return False
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        key = self._key(identifier, self._fetch)
        if key is None:
            return False
        try:
            key.verify(raw, body, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def _key(self, identifier: str, fetch: Callable[[], bytes]) -> ec.EllipticCurvePublicKey | None:
        now = self._clock.monotonic()
        age = now - self._fetched
        wanted = age > KEEP_SECONDS or (identifier not in self._keys and age > ASK_AGAIN_SECONDS)
        if wanted and now - self._failed >= PAUSE_SECONDS:
            try:
                self._keys = parse_keys(fetch())
            except (OSError, http.client.HTTPException, ValueError):
                self._failed = now
            else:
                self._fetched = now
        if now - self._fetched > KEEP_SECONDS:
            raise KeysUnreachable  # outside the handler: a cause could quote the answer
        return self._keys.get(identifier)


def parse_keys(text: bytes) -> Keys:
    """The P-256 keys of a set. ValueError for anything that is none."""
    if len(text) > MAX_SET:
        raise ValueError("the key set is too large")
    found: Keys = {}
    try:
        for entry in json.loads(text)["public_keys"]:
            key = load_pem_public_key(entry["key"].encode())
            if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
                found[str(entry["key_identifier"])] = key
    except (KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm):
        raise ValueError("not a key set") from None
    return found


def fetcher(url: str, now: Callable[[], float]) -> Callable[[], bytes]:
    """A function that gets the set over TLS. ValueError where the URL is not `https`. No redirect is followed."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme != "https" or not host:
        raise ValueError("the key set is fetched over https alone")

    def fetch() -> bytes:
        until = now() + FETCH_SECONDS  # of all of it: a socket's timeout alone bounds each wait, not their sum
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=FETCH_SECONDS, context=ssl.create_default_context()
        )
        try:
            connection.request(
                "GET", parts.path or "/", headers={"accept": "application/json", "user-agent": "chatapi"}
            )
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError("no key set")
            text = b""
            while piece := answer.read1(8192):
                text += piece
                if len(text) > MAX_SET or now() > until:
                    raise ValueError("the key set is too large or too slow")
            return text
        finally:
            connection.close()

    return fetch
