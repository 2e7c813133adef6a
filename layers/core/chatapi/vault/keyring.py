"""Who may seal and open for a subject now. Every call reads the Vault item first; only the KMS unwrap is cached.

handle = vault.writer(project, subject)            # reads the item; opens a generation where there is none
blob = handle.seal("records", pk, sk, "body", 1, data)
…write the row…
if not vault.still_open(handle): …take the row back…

handle = vault.reader(project, subject, generation)
data = handle.open("records", pk, sk, "body", 1, blob)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from chatapi.clock import Clock
from chatapi.errors import ProcessingRestricted
from chatapi.vault.cache import CachedKey, UnwrapCache
from chatapi.vault.errors import (
    Conflict,
    InvalidCiphertext,
    KeyUnavailable,
    SubjectErased,
    SubjectFrozen,
    TenantKeyUnavailable,
)
from chatapi.vault.format import Places, SubjectKeyMaterial, front, keyver_of, open_at, open_rows, seal_at
from chatapi.vault.lp import lp
from chatapi.vault.ports import KeyService, State, VaultItem, WrapStore
from chatapi.vault.subjects import key_context

T = TypeVar("T")
_RACES = 4
"""How often `writer` starts again after losing a race. Each loss means that another writer got on."""

_PLACES = 64
"""Encoded contexts that a handle keeps."""


class Vault:
    """Gives handles. `keys` and `wraps` are ports; `cache_size` bounds the unwrapped keys held in memory.

    A data subject whose processing is restricted (GDPR Art. 18) is refused, ProcessingRestricted, by the same read that
    every call makes; `despite_restriction` is for those alone who serve the person's rights: copies, corrections,
    erasures, and finding the person's own address.

    All methods raise KeyUnavailable where a port does not answer: nothing is read or written without the key.
    """

    def __init__(
        self,
        wraps: WrapStore,
        keys: KeyService,
        clock: Clock,
        *,
        cache_size: int = 256,
        despite_restriction: bool = False,
    ) -> None:
        self._wraps = wraps
        self._despite_restriction = despite_restriction
        self._keys = keys
        self._clock = clock
        self._cache = UnwrapCache(clock, cache_size)

    def writer(self, project: str, subject: str, *, key: str | None = None) -> SubjectHandle:
        """A handle of the subject's open generation; opens the first, or after an erasure the next one.

        `key` is the ARN of the KMS key that the project brought: new generations are wrapped under it, never under the
        deployment's instead (TenantKeyUnavailable). SubjectFrozen while an erasure is under way.
        """
        for _ in range(_RACES):
            item = self._read(project, subject)
            if item is None or item.state is State.ERASED:
                try:
                    return self._opened(project, subject, item.generation + 1 if item else 1, key)
                except Conflict:
                    continue
            if item.state is State.FROZEN:
                self._cache.drop(project, subject)
                raise SubjectFrozen
            self._permit(item)
            return SubjectHandle(self, item, self._unwrapped(item, item.keyver))
        raise KeyUnavailable

    def reader(self, project: str, subject: str, generation: int) -> SubjectHandle:
        """A handle to read rows of `generation`, also while it is frozen (an erasure takes its inventory then).

        SubjectErased where that generation is closed, or not in the Vault at all.
        """
        item = self._alive(project, subject, generation)
        return SubjectHandle(self, item, self._unwrapped(item, item.keyver))

    def still_open(self, handle: SubjectHandle) -> bool:
        """Was the generation open after the write? A consistent read. False: the writer takes back what it wrote.

        Frozen counts as closed, since the inventory of the erasure may have passed the new row already.
        """
        item = self._read(handle.project, handle.subject)
        if item is None or item.generation != handle.generation or item.state is not State.ACTIVE:
            return False
        return item.restricted is None or self._despite_restriction

    def permit(self, project: str, subject: str) -> None:
        """ProcessingRestricted where the data subject's processing is restricted: for what is done to rows unread."""
        if item := self._read(project, subject):
            self._permit(item)

    def _permit(self, item: VaultItem) -> None:
        if item.restricted is not None and not self._despite_restriction:
            raise ProcessingRestricted

    def _read(self, project: str, subject: str) -> VaultItem | None:
        """The item as it is now. Keys that it no longer holds leave the cache here."""
        item = self._wraps.get(project, subject)
        alive = item is not None and item.state is not State.ERASED
        self._cache.drop(project, subject, keep=item.generation if item and alive else None)
        return item

    def _alive(self, project: str, subject: str, generation: int) -> VaultItem:
        item = self._read(project, subject)
        if item is None:
            raise SubjectErased
        if item.generation != generation or item.state is State.ERASED:
            raise SubjectErased(item.closed_at(generation))
        self._permit(item)
        return item

    def _opened(self, project: str, subject: str, generation: int, key: str | None) -> SubjectHandle:
        own, context = key is not None, key_context(project, subject, generation)
        plain, wrapped, key_arn = _asked(own, lambda: self._keys.generate(context, key))
        item = self._wraps.create(project, subject, generation, wrapped, key_arn, now=self._clock.now(), tenant_key=own)
        digest = self._digest(item, item.keyver)
        return SubjectHandle(self, item, self._cache.put(digest, (project, subject, generation), _material(plain)))

    def _unwrapped(self, item: VaultItem, keyver: int) -> CachedKey:
        digest = self._digest(item, keyver)
        entry = self._cache.get(digest)
        if entry is None:
            context = key_context(item.project, item.subject, item.generation)
            plain = _asked(item.tenant_key, lambda: self._keys.unwrap(item.wraps[keyver], context, item.key_arn))
            material = _material(plain)
            entry = self._cache.put(digest, (item.project, item.subject, item.generation), material)
        return entry

    def _digest(self, item: VaultItem, keyver: int) -> bytes:
        """SHA-256 over all that the unwrap depends on, so that a wrap moved to another subject does not pass warm."""
        if keyver not in item.wraps:
            raise InvalidCiphertext
        context: Mapping[str, str] = key_context(item.project, item.subject, item.generation)
        pairs = [text for pair in sorted(context.items()) for text in pair]
        return hashlib.sha256(lp(item.key_arn, *pairs, item.wraps[keyver])).digest()


class SubjectHandle:
    """The right to seal and open for one generation of one subject, for the length of a request. Made by `Vault`.

    It holds no key longer than the cache may: a handle older than 300 s reads the Vault item again and unwraps again.
    """

    __slots__ = ("_item", "_keys", "_keyver", "_monotonic", "_places", "_vault")

    def __init__(self, vault: Vault, item: VaultItem, key: CachedKey) -> None:
        self._vault = vault
        self._item = item
        self._keyver = front(item.keyver)
        self._keys = {self._keyver: key}
        self._monotonic = vault._clock.monotonic
        self._places: dict[tuple[str, str, str, int], Places] = {}

    def __repr__(self) -> str:
        return "<SubjectHandle>"

    @property
    def project(self) -> str:
        """The tenant."""
        return self._item.project

    @property
    def subject(self) -> str:
        """The subject's id."""
        return self._item.subject

    @property
    def generation(self) -> int:
        """The generation whose rows this handle serves. It is part of their partition key."""
        return self._item.generation

    @property
    def tenant_key(self) -> str | None:
        """The ARN of the KMS key that the project brought, if this generation is under one."""
        return self._item.key_arn if self._item.tenant_key else None

    def seal(self, table: str, pk: str, sk: str, attribute: str, revision: int, plaintext: bytes) -> bytes:
        """`plaintext` encrypted for that attribute of that row: 75 bytes more.

        SubjectFrozen, SubjectErased or KeyUnavailable where the subject may not be written any more.
        """
        material = self._material(self._keyver)
        if self._item.state is not State.ACTIVE:
            raise SubjectFrozen
        places = self._places.get((table, pk, attribute, revision)) or self._at(table, pk, attribute, revision)
        return seal_at(material, self._keyver, places, sk, plaintext)

    def open(self, table: str, pk: str, sk: str, attribute: str, revision: int, sealed: bytes) -> bytes:
        """The plain text of `sealed`, if it was sealed for that very place; InvalidCiphertext otherwise.

        SubjectErased or KeyUnavailable where the key is gone meanwhile or does not answer.
        """
        places = self._places.get((table, pk, attribute, revision)) or self._at(table, pk, attribute, revision)
        return open_at(self._material(sealed[:3]), places, sk, sealed)

    def open_all(self, table: str, pk: str, attribute: str, rows: Iterable[tuple[str, int, bytes]]) -> list[bytes]:
        """`open` for many rows (sk, revision, sealed) of one partition, a history for instance. All open or none."""
        return open_rows(
            rows, lambda keyver, revision: (self._material(keyver), self._at(table, pk, attribute, revision))
        )

    def tag(self, label: str, data: bytes) -> bytes:
        """A digest of 32 bytes under the subject's key, to find the same data again: it proves nothing once that key is
        gone. Another key version gives another tag."""
        # No message's block begins with 0: it begins with the format's version.
        return self._material(self._keyver).digest(b"\0" + lp(label, data))[:32]

    def _at(self, table: str, pk: str, attribute: str, revision: int) -> Places:
        places = self._places.get((table, pk, attribute, revision))
        if places is None:
            if len(self._places) == _PLACES:
                self._places.clear()
            places = self._places[table, pk, attribute, revision] = Places(self.project, table, pk, attribute, revision)
        return places

    def _material(self, keyver: bytes) -> SubjectKeyMaterial:
        key = self._keys.get(keyver)
        if key is None or self._monotonic() >= key.until:
            # Too old, or sealed under a keyver that is newer than this handle: the item decides again.
            if key is not None or keyver_of(keyver) not in self._item.wraps:
                self._item = self._vault._alive(self.project, self.subject, self.generation)
            key = self._keys[keyver] = self._vault._unwrapped(self._item, keyver_of(keyver))
        return key.material


def _material(key: bytes) -> SubjectKeyMaterial:
    try:
        return SubjectKeyMaterial(key)
    except ValueError:
        raise KeyUnavailable from None


def _asked(own: bool, call: Callable[[], T]) -> T:
    """What the key service answers. A tenant's key that does not has a refusal of its own."""
    try:
        return call()
    except KeyUnavailable:
        if not own:
            raise
    raise TenantKeyUnavailable  # outside the handler: no context
