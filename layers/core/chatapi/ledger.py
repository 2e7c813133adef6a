"""The ledger: an append-only hash chain of commitments. No personal data is in it, and nothing can be read from it.

    commitment = SHA-256(lp(opening, digest))            opening: 32 random bytes; digest: of what is committed to
    hash       = SHA-256(lp(prev, seq, event, at, commitment))

`prev` is the hash of the entry before, 32 zero bytes for the first (seq 1). The opening goes to whoever may prove the
entry, a certificate for instance; without it the commitment hides the digest, and once it is destroyed for good.

An append is exactly once also over crashes, since its place is written down first:

    intent (seq, opening) ─▶ entry at seq, only if absent ─▶ taken by another? a new intent, and again
    (the caller's own row)   ours already? done
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chatapi.store.items import Collision, Item, Table
from chatapi.vault.lp import lp

CHAIN = "ledger"
"""The partition of the one chain."""

GENESIS = bytes(32)
"""The `prev` of the first entry."""

_RACES = 64
"""How many other appends may come in between. Each loss means that another one got on."""


class Contended(Exception):
    """Other appends won every race. Trying again later is safe."""

    def __init__(self) -> None:
        super().__init__("the head of the ledger moved too often")


@dataclass(frozen=True)
class Entry:
    """One entry. `seq` from 1, `event` a fixed name, `at` POSIX seconds; the other three are 32 bytes each."""

    seq: int
    event: str
    at: int
    commitment: bytes
    prev: bytes
    hash: bytes


def commit(opening: bytes, digest: bytes) -> bytes:
    """The commitment to a SHA-256 digest under an opening."""
    return hashlib.sha256(lp(opening, digest)).digest()


def entry(seq: int, event: str, at: int, commitment: bytes, prev: bytes) -> Entry:
    """The entry with its hash."""
    return Entry(seq, event, at, commitment, prev, hashlib.sha256(lp(prev, seq, event, at, commitment)).digest())


def proof(of: Entry, opening: bytes) -> dict[str, Any]:
    """What a certificate carries: the entry and its opening, bytes in hexadecimal."""
    return {
        "seq": of.seq,
        "event": of.event,
        "at": of.at,
        "prev": of.prev.hex(),
        "hash": of.hash.hex(),
        "commitment": of.commitment.hex(),
        "opening": opening.hex(),
    }


def proof_holds(shown: Mapping[str, Any], digest: bytes) -> bool:
    """Whether a proof is one for `digest`: commitment and hash are computed again. False for anything malformed."""
    try:
        opening = bytes.fromhex(shown["opening"])
        again = entry(shown["seq"], shown["event"], shown["at"], commit(opening, digest), bytes.fromhex(shown["prev"]))
        return len(opening) == len(again.prev) == 32 and proof(again, opening) == dict(shown)
    except (KeyError, TypeError, ValueError):
        return False


def broken_at(entries: Iterable[Entry], prev: bytes = GENESIS, first: int = 1) -> int | None:
    """The seq of the first place where a chain does not hold (a changed, missing, doubled or moved entry), else None.

    `prev` and `first` say where the given part of the chain begins.
    """
    for expected, found in enumerate(entries, start=first):
        if found != entry(expected, found.event, found.at, found.commitment, prev):
            return expected
        prev = found.hash
    return None


class Ledger:
    """The chain in a table with the sort key `seq`. Errors of the table pass through."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self) -> Entry | None:
        """The last entry, by a consistent read."""
        found = self._table.query(CHAIN, limit=1, descending=True)
        return _entry(found[0]) if found else None

    def at(self, seq: int) -> Entry | None:
        """The entry at `seq`, by a consistent read."""
        found = self._table.get(CHAIN, seq)
        return _entry(found) if found else None

    def all(self, after: int = 0, limit: int | None = None) -> list[Entry]:
        """Entries in order, past `after`."""
        return [_entry(item) for item in self._table.query(CHAIN, after=after or None, limit=limit)]

    def append(
        self, event: str, at: int, commitment: bytes, *, intent: int | None, intend: Callable[[int | None, int], int]
    ) -> Entry:
        """Append once. `intent` is the seq written down by an earlier try, None at the first.

        `intend(old, new)` replaces the intent `old` in the caller's row by `new`, durably and only if `old` stands
        there still, and returns the one that stands afterwards. The entry must be the same at every try.
        """
        for _ in range(_RACES):
            if intent is None:
                head = self.head()
                intent = intend(None, head.seq + 1 if head else 1)
            found = self.at(intent) or self._put(intent, event, at, commitment)
            if found.commitment == commitment:
                return found
            # Another entry is there, so no late write of ours can land there any more: only now another seq is safe.
            head = self.head()
            intent = intend(intent, (head.seq if head else intent) + 1)
        raise Contended

    def _put(self, seq: int, event: str, at: int, commitment: bytes) -> Entry:
        """The entry that stands at `seq` after a try to put this one."""
        before = self.at(seq - 1)
        new = entry(seq, event, at, commitment, before.hash if before else GENESIS)
        item: Item = {"pk": CHAIN, "kind": "entry", **vars(new)}
        try:
            self._table.put(item, absent=True)
        except Collision:
            return self.at(seq) or new
        return new


def _entry(item: Item) -> Entry:
    return Entry(item["seq"], item["event"], item["at"], item["commitment"], item["prev"], item["hash"])
