"""The auditors' decryptor (tools/decrypt.py), loaded as the one file that it is, and its other direction.

It opens and encodes with nothing but the specification's own words (docs/vault.md), HKDFExpand and AESGCM.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE = Path(__file__).parents[3] / "tools" / "decrypt.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("chatapi_independent_decryptor", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tool = _load()
DoesNotOpen: type[Exception] = tool.DoesNotOpen


def derive(subject_key: bytes, header: bytes, context: list[str | int]) -> tuple[bytes, bytes]:
    """Message key and commitment."""
    derived: tuple[bytes, bytes] = tool.derive(subject_key, header, context)
    return derived


def decrypt(subject_key: bytes, context: list[str | int], sealed: bytes) -> bytes:
    """The plain text, under the keyver that the message names; DoesNotOpen otherwise."""
    opened: bytes = tool.decrypt(subject_key, int.from_bytes(sealed[1:3], "big"), context, sealed)
    return opened


def encrypt(subject_key: bytes, keyver: int, context: list[str | int], salt: bytes, plaintext: bytes) -> bytes:
    """The one sealed message that these inputs have."""
    header = b"\x01" + keyver.to_bytes(2, "big") + salt
    key, commitment = derive(subject_key, header, context)
    return header + commitment + AESGCM(key).encrypt(bytes(12), plaintext, header)
