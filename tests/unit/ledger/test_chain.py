"""The chain: what was appended can be proven, and nothing of it can be changed unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.catalogue import Catalogued
from chatapi.ledger import CHAIN, GENESIS, Contended, Entry, Ledger, broken_at, commit, entry, proof, proof_holds
from chatapi.store.items import Collision, Item, MemoryTable
from tests.support.campaign import examples

DIGEST = hashlib.sha256(b"payload").digest()
OPENING = bytes(range(32))


class Owner:
    """The caller's row: holds the intent."""

    def __init__(self) -> None:
        self.intent: int | None = None

    def intend(self, old: int | None, new: int) -> int:
        if self.intent == old:
            self.intent = new
        assert self.intent is not None
        return self.intent


def append(ledger: Ledger, number: int, owner: Owner | None = None) -> Entry:
    owner = owner or Owner()
    return ledger.append(
        "test", 1000 + number, commit(OPENING, bytes([number])), intent=owner.intent, intend=owner.intend
    )


def ledger() -> tuple[Ledger, MemoryTable]:
    table = MemoryTable(sort="seq")
    return Ledger(Catalogued(table, "ledger")), table


def test_entries_are_numbered_and_chained() -> None:
    book, _ = ledger()
    assert book.head() is None
    entries = [append(book, number) for number in range(5)]
    assert [found.seq for found in entries] == [1, 2, 3, 4, 5]
    assert entries[0].prev == GENESIS
    assert all(later.prev == earlier.hash for earlier, later in pairwise(entries))
    assert book.all() == entries
    assert book.all(after=3) == entries[3:]
    assert book.head() == entries[-1]
    assert broken_at(entries) is None


def test_known_answer() -> None:
    """The encodings are part of the format: another program must come to the same hash."""
    commitment = hashlib.sha256(b"b32:" + OPENING + b"b32:" + DIGEST).digest()
    assert commit(OPENING, DIGEST) == commitment
    encoded = b"b32:" + GENESIS + b"i1:1" + b"s4:test" + b"i4:1000" + b"b32:" + commitment
    assert entry(1, "test", 1000, commitment, GENESIS).hash == hashlib.sha256(encoded).digest()


CHANGES: list[Callable[[Entry], Entry]] = [
    lambda e: replace(e, seq=e.seq + 1),
    lambda e: replace(e, event="other"),
    lambda e: replace(e, at=e.at + 1),
    lambda e: replace(e, commitment=bytes(32)),
    lambda e: replace(e, prev=bytes([1]) * 32),
    lambda e: replace(e, hash=bytes(32)),
    lambda e: entry(e.seq, "rewritten", e.at, e.commitment, e.prev),
]


@given(st.integers(2, 8), st.data())
def test_any_change_breaks_the_chain(length: int, data: st.DataObject) -> None:
    book, _ = ledger()
    entries = [append(book, number) for number in range(length)]
    place = data.draw(st.integers(0, length - 2))  # a rewritten head is found by whoever knows the old one
    entries[place] = data.draw(st.sampled_from(CHANGES))(entries[place])
    assert broken_at(entries) in (place + 1, place + 2)


@given(st.permutations(range(5)))
def test_any_other_order_breaks_the_chain(order: list[int]) -> None:
    book, _ = ledger()
    entries = [append(book, number) for number in range(5)]
    assert (broken_at([entries[place] for place in order]) is None) == (order == sorted(order))


@given(st.integers(0, 4))
def test_a_missing_entry_breaks_the_chain(place: int) -> None:
    book, _ = ledger()
    entries = [append(book, number) for number in range(5)]
    del entries[place]
    assert broken_at(entries) == (place + 1 if place < 4 else None)


def test_a_proof_holds_for_its_digest_alone() -> None:
    book, _ = ledger()
    found = append(book, 7)
    shown = proof(found, OPENING)
    assert proof_holds(shown, bytes([7]))
    assert not proof_holds(shown, bytes([8]))


@pytest.mark.parametrize("field", ["seq", "event", "at", "prev", "hash", "commitment", "opening"])
@pytest.mark.parametrize("value", [None, 0, True, "", "00", "00" * 32, "zz", 1.5, [], "AA" * 32])
def test_a_proof_with_any_field_changed_does_not_hold(field: str, value: Any) -> None:
    shown = proof(entry(2, "test", 1000, commit(OPENING, DIGEST), bytes([3]) * 32), OPENING)
    assert proof_holds(shown, DIGEST)
    assert not proof_holds({**shown, field: value}, DIGEST)
    assert not proof_holds({name: old for name, old in shown.items() if name != field}, DIGEST)
    assert not proof_holds({**shown, "more": 1}, DIGEST)


@pytest.mark.parametrize(
    ("opening", "prev"), [(b"", GENESIS), (bytes(31), GENESIS), (OPENING, b""), (OPENING, bytes(33))]
)
def test_a_short_opening_or_hash_does_not_hold(opening: bytes, prev: bytes) -> None:
    """An opening that can be guessed hides nothing, however well it fits."""
    assert not proof_holds(proof(entry(1, "test", 1000, commit(opening, DIGEST), prev), opening), DIGEST)


class Racing:
    """A table in which others append in between, and whose writes may be lost or go unanswered."""

    def __init__(self, table: MemoryTable, plan: list[str]) -> None:
        self._table = table
        self._plan = plan
        self._number = 100
        self.get = table.get
        self.query = table.query

    def put(self, item: Item, *, absent: bool = False) -> None:
        match self._plan.pop(0) if self._plan else "":
            case "another first":
                self._number += 1
                append(Ledger(self._table), self._number)
                self._table.put(item, absent=absent)
            case "lost":
                raise ConnectionError
            case "unanswered":
                self._table.put(item, absent=absent)
                raise ConnectionError
            case _:
                self._table.put(item, absent=absent)


@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from(["", "another first", "lost", "unanswered"]), max_size=8), st.integers(0, 3))
def test_appended_exactly_once_whatever_happens(plan: list[str], before: int) -> None:
    # given a chain, others who append, and writes that fail before or after they took effect
    _, table = ledger()
    for number in range(before):
        append(Ledger(table), number)
    owner = Owner()
    # when the caller tries until it gets through, as a workflow that resumes
    racing = Racing(table, list(plan))
    for _ in range(len(plan) + 1):
        try:
            found = append(Ledger(racing), 50, owner)  # type: ignore[arg-type]
            break
        except ConnectionError:
            continue
    # then its entry is there once, in a chain that holds
    entries = Ledger(table).all()
    assert [e.seq for e in entries if e.commitment == found.commitment] == [found.seq]
    assert broken_at(entries) is None
    assert append(Ledger(table), 50, owner) == found


def test_a_head_that_always_moves_ends_in_an_error() -> None:
    _, table = ledger()
    racing = Racing(table, ["another first"] * 100)
    with pytest.raises(Contended):
        append(Ledger(racing), 99)  # type: ignore[arg-type]


def test_nothing_is_overwritten() -> None:
    book, table = ledger()
    append(book, 1)
    with pytest.raises(Collision):
        table.put({"pk": CHAIN, "seq": 1}, absent=True)
