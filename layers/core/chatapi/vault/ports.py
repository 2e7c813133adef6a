"""What the vault needs from outside, a store of wrapped keys and a key service, and the values that pass between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol


class State(StrEnum):
    """The state of a subject's current generation. Frozen is reversible, erased is not."""

    ACTIVE = "active"
    FROZEN = "frozen"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a generation: when and by which case it was closed, and the evidence for the certificate.

    `erased_at` is in whole POSIX seconds, `wrap_sha256` maps each keyver to the hex SHA-256 of the wrapped key that was
    destroyed, `key_arn` names the KMS key that had wrapped it. A tombstone has no TTL and is never changed.
    """

    erased_at: int
    case_id: str
    key_arn: str
    wrap_sha256: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class VaultItem:
    """A subject's one item in the Vault: its current generation, and the tombstones of all the closed ones.

    `keyver` is the version for new messages; `wraps` holds every version that old messages still need, all of them
    under `key_arn`; it is empty in an erased item. `created_at` is when the generation was opened, in whole POSIX
    seconds; `frozen_by` the case that froze it; `revision` counts the item's writes and is the stores' optimistic lock;
    `tenant_key` says that `key_arn` is a KMS key that the project brought. `restricted` is the case that restricted
    processing (GDPR Art. 18), None where none did or it was lifted.
    """

    project: str
    subject: str
    generation: int
    state: State
    keyver: int
    wraps: Mapping[int, bytes] = field(repr=False)
    key_arn: str
    created_at: int
    tombstones: Mapping[int, Tombstone] = field(default_factory=dict)
    frozen_by: str | None = None
    revision: int = 1
    tenant_key: bool = False
    restricted: str | None = None

    @property
    def erased_at(self) -> int | None:
        """When the current generation was erased, in POSIX seconds; None while it lives."""
        return self.closed_at(self.generation)

    def closed_at(self, generation: int) -> int | None:
        """When `generation` was erased; None if it is alive or never was."""
        tombstone = self.tombstones.get(generation)
        return tombstone.erased_at if tombstone else None


class KeyService(Protocol):
    """Makes and unwraps subject keys under an encryption context. KMS in production.

    Both raise KeyUnavailable where the service or its key does not answer, with a fixed text and no cause attached.
    """

    def generate(self, context: Mapping[str, str], key: str | None = None) -> tuple[bytes, bytes, str]:
        """A new key: (64 random bytes, the same wrapped under the context, the ARN of the wrapping key). `key` is the
        ARN of another wrapping key than the deployment's."""
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str], key_arn: str) -> bytes:
        """The 64 bytes. InvalidCiphertext where wrap, context or wrapping key are not the ones it was made with.

        The ARN is the recorded one: after a rotation the alias names another key than old wraps need.
        """
        ...


class Rewrapper(Protocol):
    """What moving to another wrapping key needs of a key service beside `KeyService`; operators alone have it."""

    def rewrap(self, wrapped: bytes, context: Mapping[str, str], from_arn: str, to_arn: str) -> bytes:
        """The same key wrapped under `to_arn`, in the same context."""
        ...


class WrapStore(Protocol):
    """Holds the Vault items. Every write is one conditional write; KeyUnavailable where the store does not answer.

    The steps and their conditions are those of `chatapi.vault.lifecycle`; `Conflict` where one does not hold.
    """

    def get(self, project: str, subject: str) -> VaultItem | None:
        """The item by a consistent read, or None."""
        ...

    def create(
        self,
        project: str,
        subject: str,
        generation: int,
        wrapped: bytes,
        key_arn: str,
        *,
        now: float,
        tenant_key: bool = False,
    ) -> VaultItem:
        """Open `generation` with `wrapped` as keyver 1. Only if there is no item, or a tombstone of the one before."""
        ...

    def rekey(self, before: VaultItem, after: VaultItem) -> None:
        """Replace the wraps: `after` is a step of `lifecycle.rekeyed`. Conflict where the item is not `before` now."""
        ...

    def freeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """active → frozen by the case. Idempotent for that case."""
        ...

    def unfreeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """frozen by this case → active. Idempotent."""
        ...

    def restrict(self, project: str, subject: str, generation: int, case_id: str | None) -> VaultItem:
        """Restrict processing by a case, or lift it (None). Idempotent. Conflict where the generation is not alive."""
        ...

    def destroy(self, project: str, subject: str, generation: int, now: float, case_id: str) -> VaultItem:
        """frozen by this case → erased: wraps removed, tombstone written, in one write. Idempotent for that case.

        Returns the item as of that generation: state erased, `tombstones[generation]` set, also when the subject has
        opened a later generation meanwhile, which is left alone.
        """
        ...


class WrapPage(NamedTuple):
    """Some items of the Vault, (project, subject) of those that are there and are not items of the Vault's making, and
    the cursor of the next page, None at the end."""

    items: list[VaultItem]
    unreadable: list[tuple[str, str]]
    after: str | None


class WrapPages(Protocol):
    """What the turn of an epoch needs of a store beside `WrapStore`: to walk over all of it. Of the functions, one has
    it: the one that moves wraps to another KMS key and can open none."""

    def page(self, after: str | None = None, segment: tuple[int, int] = (0, 1)) -> WrapPage:
        """Some items behind the cursor `after`, in no particular order; `segment`: (its number, of how many)."""
        ...
