"""The ports in memory: for tests, and the reference of what the adapters do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatapi.vault import lifecycle
from chatapi.vault.errors import InvalidCiphertext, KeyUnavailable
from chatapi.vault.lp import lp
from chatapi.vault.ports import VaultItem


class MemoryWraps:
    """A `WrapStore` in a dictionary. `items` may be looked into and planted; `reads` and `writes` count the calls."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], VaultItem] = {}
        self.reads = 0
        self.writes = 0
        self._lock = threading.Lock()

    def get(self, project: str, subject: str) -> VaultItem | None:
        """See `WrapStore`."""
        with self._lock:
            self.reads += 1
            return self.items.get((project, subject))

    def create(
        self, project: str, subject: str, generation: int, wrapped: bytes, key_arn: str, *, now: float
    ) -> VaultItem:
        """See `WrapStore`."""
        new = lifecycle.new(project, subject, generation, wrapped, key_arn, now=now)
        return self._step(project, subject, lambda item: lifecycle.created(item, new))

    def freeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.frozen(item, generation, case_id))

    def unfreeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.unfrozen(item, generation, case_id))

    def destroy(self, project: str, subject: str, generation: int, now: float, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        item = self._step(project, subject, lambda item: lifecycle.destroyed(item, generation, now, case_id))
        return lifecycle.as_closed(item, generation)

    def _step(self, project: str, subject: str, step: Callable[[VaultItem | None], VaultItem]) -> VaultItem:
        with self._lock:
            self.writes += 1
            item = self.items[project, subject] = step(self.items.get((project, subject)))
            return item


class MemoryKeys:
    """A `KeyService` with one wrapping key in memory. It enforces the encryption context, as KMS does.

    `generated` and `unwrapped` count the calls, `contexts` keeps the contexts seen. `disable` is reversible, `destroy`
    is not: after it no wrap of this service opens again.
    """

    def __init__(self, key_arn: str = "arn:aws:kms:eu-central-1:000000000000:key/memory") -> None:
        self.key_arn = key_arn
        self.generated = 0
        self.unwrapped = 0
        self.contexts: list[dict[str, str]] = []
        self._master: AESGCM | None = AESGCM(os.urandom(32))
        self._enabled = True

    @property
    def calls(self) -> int:
        """All calls so far."""
        return self.generated + self.unwrapped

    def disable(self) -> None:
        """Refuse every call until `enable`."""
        self._enabled = False

    def enable(self) -> None:
        """Answer again."""
        self._enabled = True

    def destroy(self) -> None:
        """Forget the wrapping key."""
        self._master = None

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes, str]:
        """See `KeyService`."""
        self.generated += 1
        key, nonce = os.urandom(64), os.urandom(12)
        wrapped = nonce + self._key(context).encrypt(nonce, key, self._bound(context))
        return key, wrapped, self.key_arn

    def unwrap(self, wrapped: bytes, context: Mapping[str, str], key_arn: str) -> bytes:
        """See `KeyService`."""
        self.unwrapped += 1
        key = self._key(context)
        if key_arn != self.key_arn or len(wrapped) < 28:
            raise InvalidCiphertext
        try:
            return key.decrypt(wrapped[:12], wrapped[12:], self._bound(context))
        except InvalidTag:
            raise InvalidCiphertext from None

    def _key(self, context: Mapping[str, str]) -> AESGCM:
        self.contexts.append(dict(context))
        if self._master is None or not self._enabled:
            raise KeyUnavailable
        return self._master

    @staticmethod
    def _bound(context: Mapping[str, str]) -> bytes:
        return lp(*(text for pair in sorted(context.items()) for text in pair))
