"""Digests of a stored completion's metadata, by which a list finds what carries a pair."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from chatapi.vault.lp import lp

_TAG_BYTES = 2


def tags_of(pepper: bytes, metadata: Mapping[str, str]) -> frozenset[bytes]:
    """A digest of each pair, under the project's pepper: two bytes of an HMAC.

    They stand in the clear beside opaque ids, so they are cut until they prove nothing: each of the 65,536 values is
    that of any number of pairs. What matches is decrypted and compared.
    """
    key = hmac.digest(pepper, lp("chatapi/metadata/v1"), "sha256")
    return frozenset(hmac.digest(key, lp(name, value), "sha256")[:_TAG_BYTES] for name, value in metadata.items())
