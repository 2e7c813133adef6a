"""The life of a subject's key as pure steps. Both stores take them, so there is one law.

                create            freeze(case)             destroy(case)
    (nothing) ────────► active ◄──────────────► frozen ─────────────────► erased
                           ▲      unfreeze(case)                            │
                           └──────────────── create, generation + 1 ────────┘

A tombstone is written once, with the generation it closes, and every later item carries it on: whoever comes late, for
whatever reason, finds the generation closed. Freezing comes first, so a case that was cancelled cannot destroy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from chatapi.vault.errors import Conflict
from chatapi.vault.ports import State, Tombstone, VaultItem


def new(
    project: str, subject: str, generation: int, wrapped: bytes, key_arn: str, *, now: float, tenant_key: bool = False
) -> VaultItem:
    """An open generation with one key, for `created`."""
    item = VaultItem(project, subject, generation, State.ACTIVE, 1, {1: wrapped}, key_arn, int(now))
    return replace(item, tenant_key=tenant_key)


def created(item: VaultItem | None, opened: VaultItem) -> VaultItem:
    """`opened` where it is generation 1 and there is no item, or n + 1 over the tombstone of n. Conflict otherwise."""
    if item is None:
        if opened.generation != 1:
            raise Conflict
        return opened
    if item.state is not State.ERASED or opened.generation != item.generation + 1:
        raise Conflict
    return replace(opened, tombstones=item.tombstones, revision=item.revision + 1)


def frozen(item: VaultItem | None, generation: int, case_id: str) -> VaultItem:
    """Frozen by the case; the same item if it is already. Conflict if another case froze it, or it is closed."""
    if item is None or item.generation != generation or item.state is State.ERASED:
        raise Conflict
    if item.state is State.FROZEN:
        return _of_case(item, case_id)
    return replace(item, state=State.FROZEN, frozen_by=case_id, revision=item.revision + 1)


def unfrozen(item: VaultItem | None, generation: int, case_id: str) -> VaultItem:
    """Active again; the same item if it is already. Conflict if another case froze it, or it is closed."""
    if item is None or item.generation != generation or item.state is State.ERASED:
        raise Conflict
    if item.state is State.ACTIVE:
        return item
    return replace(_of_case(item, case_id), state=State.ACTIVE, frozen_by=None, revision=item.revision + 1)


def restricted(item: VaultItem | None, generation: int, case_id: str | None) -> VaultItem:
    """Restricted by the case, or free again (None); the same item if it is already, whichever case did it.

    Beside the states above: it changes none of them, and ends with the generation. Conflict where that is not alive.
    """
    if item is None or item.generation != generation or item.state is State.ERASED:
        raise Conflict
    if (item.restricted is None) == (case_id is None):
        return item
    return replace(item, restricted=case_id, revision=item.revision + 1)


def rekeyed(
    item: VaultItem, wraps: Mapping[int, bytes], key_arn: str, *, keyver: int | None = None, tenant_key: bool = False
) -> VaultItem:
    """The item with other wraps, all under `key_arn`: re-wrapped, or with one keyver more, for new messages.

    Conflict where it is erased, or a keyver that old messages need would be missing.
    """
    new = item.keyver if keyver is None else keyver
    if item.state is State.ERASED or not set(item.wraps) <= set(wraps) or new not in wraps or new < item.keyver:
        raise Conflict
    fields = {"wraps": dict(wraps), "key_arn": key_arn, "keyver": new, "tenant_key": tenant_key}
    return replace(item, revision=item.revision + 1, **fields)  # type: ignore[arg-type]


def destroyed(item: VaultItem | None, generation: int, now: float, case_id: str) -> VaultItem:
    """The item erased: no wraps, one more tombstone; the same item if this case erased the generation before.

    Conflict if another case froze or erased it, if it is not frozen, or if there is no such generation.
    """
    if item is None:
        raise Conflict
    if tombstone := item.tombstones.get(generation):
        if tombstone.case_id != case_id:
            raise Conflict
        return item
    if item.generation != generation or item.state is not State.FROZEN:
        raise Conflict
    hashes = {keyver: hashlib.sha256(wrapped).hexdigest() for keyver, wrapped in item.wraps.items()}
    return replace(
        _of_case(item, case_id),
        state=State.ERASED,
        wraps={},
        frozen_by=None,
        restricted=None,
        tombstones={**item.tombstones, generation: Tombstone(int(now), case_id, item.key_arn, hashes)},
        revision=item.revision + 1,
    )


def as_closed(item: VaultItem, generation: int) -> VaultItem:
    """The item as of the erasure of `generation`: what a repeated `destroy` answers after the subject came back."""
    if item.generation == generation:
        return item
    tombstone = item.tombstones[generation]
    return replace(
        item,
        generation=generation,
        state=State.ERASED,
        keyver=max(tombstone.wrap_sha256),
        wraps={},
        key_arn=tombstone.key_arn,
        frozen_by=None,
        restricted=None,
    )


def _of_case(item: VaultItem, case_id: str) -> VaultItem:
    if item.frozen_by != case_id:
        raise Conflict
    return item
