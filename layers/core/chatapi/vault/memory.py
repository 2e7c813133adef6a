"""The ports in memory: for tests, and the reference of what the adapters do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatapi.vault import lifecycle
from chatapi.vault.errors import Conflict, InvalidCiphertext, KeyUnavailable
from chatapi.vault.lp import lp
from chatapi.vault.ports import VaultItem, WrapPage


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
        """See `WrapStore`."""
        new = lifecycle.new(project, subject, generation, wrapped, key_arn, now=now, tenant_key=tenant_key)
        return self._step(project, subject, lambda item: lifecycle.created(item, new))

    def rekey(self, before: VaultItem, after: VaultItem) -> None:
        """See `WrapStore`."""

        def step(item: VaultItem | None) -> VaultItem:
            if item is None or item.revision != before.revision:
                raise Conflict
            return after

        self._step(before.project, before.subject, step)

    def page(self, after: str | None = None, segment: tuple[int, int] = (0, 1)) -> WrapPage:
        """See `WrapPages`. Two items a page, so that tests see the seams."""
        number, total = segment
        keys = [key for key in sorted(self.items) if crc32("#".join(key).encode()) % total == number]
        keys = [key for key in keys if after is None or "#".join(key) > after]
        return WrapPage([self.items[key] for key in keys[:2]], [], "#".join(keys[1]) if len(keys) > 2 else None)

    def freeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.frozen(item, generation, case_id))

    def unfreeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.unfrozen(item, generation, case_id))

    def restrict(self, project: str, subject: str, generation: int, case_id: str | None) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.restricted(item, generation, case_id))

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
    """A `KeyService` with wrapping keys in memory. It enforces the encryption context, as KMS does.

    `generated` and `unwrapped` count the calls, `contexts` keeps the contexts seen. `disable` is reversible, `destroy`
    is not: after it no wrap of that key opens again. Both mean the deployment's key where none is named; any other ARN
    is a key of a tenant or of another epoch, there from its first use.
    """

    def __init__(self, key_arn: str = "arn:aws:kms:eu-central-1:000000000000:key/memory") -> None:
        self.key_arn = key_arn
        self.generated = 0
        self.unwrapped = 0
        self.contexts: list[dict[str, str]] = []
        self._masters: dict[str, AESGCM | None] = {}
        self._disabled: set[str] = set()

    @property
    def calls(self) -> int:
        """All calls so far."""
        return self.generated + self.unwrapped

    def disable(self, key: str | None = None) -> None:
        """Refuse every call until `enable`."""
        self._disabled.add(key or self.key_arn)

    def enable(self, key: str | None = None) -> None:
        """Answer again."""
        self._disabled.discard(key or self.key_arn)

    def destroy(self, key: str | None = None) -> None:
        """Forget the wrapping key."""
        self._masters[key or self.key_arn] = None

    def generate(self, context: Mapping[str, str], key: str | None = None) -> tuple[bytes, bytes, str]:
        """See `KeyService`."""
        self.generated += 1
        arn = key or self.key_arn
        plain = os.urandom(64)
        return plain, self._wrap(plain, context, arn), arn

    def unwrap(self, wrapped: bytes, context: Mapping[str, str], key_arn: str) -> bytes:
        """See `KeyService`."""
        self.unwrapped += 1
        key = self._key(context, key_arn)
        if len(wrapped) < 28:
            raise InvalidCiphertext
        try:
            return key.decrypt(wrapped[:12], wrapped[12:], self._bound(context))
        except InvalidTag:
            raise InvalidCiphertext from None

    def rewrap(self, wrapped: bytes, context: Mapping[str, str], from_arn: str, to_arn: str) -> bytes:
        """See `Rewrapper`."""
        return self._wrap(self.unwrap(wrapped, context, from_arn), context, to_arn)

    def _wrap(self, plain: bytes, context: Mapping[str, str], arn: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._key(context, arn).encrypt(nonce, plain, self._bound(context))

    def _key(self, context: Mapping[str, str], arn: str) -> AESGCM:
        self.contexts.append(dict(context))
        master = self._masters.setdefault(arn, AESGCM(os.urandom(32)))
        if master is None or arn in self._disabled:
            raise KeyUnavailable
        return master

    @staticmethod
    def _bound(context: Mapping[str, str]) -> bytes:
        return lp(*(text for pair in sorted(context.items()) for text in pair))
