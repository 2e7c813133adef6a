"""Marks of what was deleted or corrected on its own, so that a restored backup does not bring it back.

A whole data subject's erasure needs none: the Vault's tombstone outlives every backup. A single record does (GDPR Art.
16 and 17): its subject lives on, and a table restored to an earlier point in time holds it again. So before a row goes,
or a revision is replaced, a mark is written to another store than the row's: a digest of the row's key, from which
nothing can be read back, and the last revision that must not return. It lives one day longer than the backup
(policy/retention.toml).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.store.items import Item, Key, Table
from chatapi.store.keys import mark_pk
from chatapi.vault.lp import lp

SK = "-"
EVERY = 1 << 31
"""In place of a revision: the row is gone, whichever revision a backup has."""


def digest(key: Key) -> str:
    """The opaque name of a row of the Records table: SHA-256 of its key, in hex."""
    return hashlib.sha256(lp(key[0], str(key[1]))).hexdigest()


class Marks:
    """The repository. `table` is the catalogued Requests table: it is deletion-protected and has its own backups."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def gone(self, keys: Iterable[Key], revision: int = EVERY) -> None:
        """Say that the rows may not come back, up to `revision`. Before they go: a mark too many does no harm, since a
        replay leaves alone what the live table still holds."""
        ttl = expiry("mark", self._clock.now())
        self._table.put_all(
            [{"pk": mark_pk(digest(key)), "sk": SK, "kind": "mark", "rev": revision, "ttl": ttl} for key in keys]
        )

    def of(self, keys: list[Key]) -> dict[Key, int]:
        """The last revision that may not come back, for those of `keys` that have a mark."""
        named = {mark_pk(digest(key)): key for key in keys}
        found: list[Item] = self._table.get_all([(pk, SK) for pk in named])
        return {named[item["pk"]]: int(item["rev"]) for item in found}
