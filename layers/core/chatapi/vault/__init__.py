"""The vault: envelope encryption per data subject. Specification: docs/vault.md.

Callers need `Vault` and the `SubjectHandle` it gives, the four refusals, and the subject ids. The ports' real adapters,
`chatapi.vault.dynamo` and `chatapi.vault.kms`, are imported by a function's composition root only: nothing here loads
an AWS client. What encrypts is loaded when it is first asked for (PEP 562): a chat that is not stored needs none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from chatapi.vault.errors import (
    Conflict,
    InvalidCiphertext,
    KeyUnavailable,
    SubjectErased,
    SubjectFrozen,
    TenantKeyUnavailable,
)
from chatapi.vault.lp import lp
from chatapi.vault.ports import KeyService, State, Tombstone, VaultItem, WrapStore
from chatapi.vault.subjects import key_context, project_pepper, subject_id

if TYPE_CHECKING:
    from chatapi.vault.format import OVERHEAD, Context, SubjectKeyMaterial, open_, seal
    from chatapi.vault.keyring import SubjectHandle, Vault

__all__ = [
    "OVERHEAD",
    "Conflict",
    "Context",
    "InvalidCiphertext",
    "KeyService",
    "KeyUnavailable",
    "State",
    "SubjectErased",
    "SubjectFrozen",
    "SubjectHandle",
    "SubjectKeyMaterial",
    "TenantKeyUnavailable",
    "Tombstone",
    "Vault",
    "VaultItem",
    "WrapStore",
    "key_context",
    "lp",
    "open_",
    "project_pepper",
    "seal",
    "subject_id",
]

_LATER = {
    **dict.fromkeys(("OVERHEAD", "Context", "SubjectKeyMaterial", "open_", "seal"), "format"),
    **dict.fromkeys(("SubjectHandle", "Vault"), "keyring"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(name)
    globals()[name] = found = getattr(importlib.import_module(f"chatapi.vault.{_LATER[name]}"), name)
    return found
