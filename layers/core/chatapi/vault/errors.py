"""What the vault refuses. Every text is fixed: no key, plain text, context or user value is ever in one.

ApiError (chatapi.errors)
├── SubjectErased       410  the generation's key is gone; carries `erased_at`
├── SubjectFrozen       503  an erasure is under way; a later try opens the next generation or the same one again
├── KeyUnavailable      503  the key service or the Vault table does not answer, or its key is disabled
│   └── TenantKeyUnavailable  503  the same of a key that the tenant brought: code tenant_key_unavailable
└── InvalidCiphertext   500  the bytes do not open here: altered, moved, or of another key; which one is not told
Conflict                     a conditional write lost; for the vault's own callers, never for the wire
"""

from __future__ import annotations

from chatapi import errors


class SubjectErased(errors.SubjectErased):
    """410: this generation of the subject has no key any more. `erased_at`: POSIX seconds, None where not known."""

    def __init__(self, erased_at: int | None = None) -> None:
        super().__init__()
        self.erased_at = erased_at


class SubjectFrozen(errors.Unavailable):
    """503: the subject is frozen by a case, nothing may be written for it until the case goes on or is cancelled."""

    message = "The data of this subject is being changed by a privacy request. Try again later."

    def __init__(self) -> None:
        super().__init__(retry_after=30)


class KeyUnavailable(errors.Unavailable):
    """503: the subject's key cannot be had now. Nothing is written or read without it."""


class TenantKeyUnavailable(KeyUnavailable):
    """503: the project's own KMS key refuses or does not answer. Nothing is lost: with the key the data opens again.
    The deployment's key never takes its place."""

    code = "tenant_key_unavailable"
    message = "The encryption key that this project brought cannot be used now. Ask the project's owner to restore it."


class InvalidCiphertext(errors.InternalError):
    """500: one opaque refusal for every way in which a sealed message or a wrapped key fails to open."""


class Conflict(Exception):
    """A conditional write on the Vault lost: the item is not in the state that the step starts from."""

    def __init__(self) -> None:
        super().__init__("the vault item is not in the state that this step needs")
