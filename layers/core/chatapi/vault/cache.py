"""The one cache of the vault: unwrapped subject keys, 300 seconds at most, bounded, dropped on the first bad news."""

from __future__ import annotations

import threading
from collections import OrderedDict

from chatapi.clock import Clock
from chatapi.vault.format import SubjectKeyMaterial

MAX_AGE = 300.0
"""Seconds."""

Owner = tuple[str, str, int]
"""Project, subject, generation."""


class CachedKey:
    """A subject key and its end. Handles hold this object, so that `UnwrapCache.drop` reaches them as well.

    `until` is in seconds of the monotonic clock and is what a handle looks at, message by message. Between requests the
    wall clock counts too (`fresh`), since the monotonic one may stand still while a function is frozen, and the wall
    clock alone could be set back.
    """

    __slots__ = ("_born", "_clock", "material", "owner", "until")

    def __init__(self, owner: Owner, material: SubjectKeyMaterial, clock: Clock) -> None:
        self.owner = owner
        self.material = material
        self._clock = clock
        self._born = clock.now()
        self.until = clock.monotonic() + MAX_AGE

    def fresh(self) -> bool:
        """Younger than `MAX_AGE` by both clocks, and not dropped."""
        return self._clock.monotonic() < self.until and 0 <= self._clock.now() - self._born < MAX_AGE

    def drop(self) -> None:
        """Make it unusable for whoever still holds it."""
        self.until = float("-inf")


class UnwrapCache:
    """Least recently used out. Keys are digests over key ARN, encryption context and wrap: see `Vault`."""

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._entries: OrderedDict[bytes, CachedKey] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> CachedKey | None:
        """The entry if it is fresh; a stale one is removed."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is None:
                return None
            if not entry.fresh():
                del self._entries[digest]
                return None
            self._entries.move_to_end(digest)
            return entry

    def put(self, digest: bytes, owner: Owner, material: SubjectKeyMaterial) -> CachedKey:
        """Keep `material`; stale entries and, above the bound, the least recently used one leave."""
        entry = CachedKey(owner, material, self._clock)
        with self._lock:
            for old in [key for key, held in self._entries.items() if not held.fresh()]:
                del self._entries[old]
            self._entries[digest] = entry
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
        return entry

    def drop(self, project: str, subject: str, *, keep: int | None = None) -> None:
        """Forget the subject's keys, those of generation `keep` excepted, also in the handles that hold them."""
        with self._lock:
            for digest, entry in list(self._entries.items()):
                if entry.owner[:2] == (project, subject) and entry.owner[2] != keep:
                    entry.drop()
                    del self._entries[digest]
