"""Story: a generation that was closed stays closed, whoever comes late and in whatever order."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatapi.clock import FixedClock
from chatapi.vault import (
    Conflict,
    InvalidCiphertext,
    KeyUnavailable,
    State,
    SubjectErased,
    Tombstone,
    Vault,
    VaultItem,
)
from chatapi.vault.memory import MemoryKeys, MemoryWraps

PLACE = ("records", "pk", "sk", "body", 1)
WHO = ("prj", "sub_a")


def erase(wraps: MemoryWraps, generation: int, case: str, now: float = 1000.0) -> VaultItem:
    wraps.freeze(*WHO, generation, case)
    return wraps.destroy(*WHO, generation, now, case)


def test_a_person_who_comes_back_gets_generation_2_with_a_new_key() -> None:
    wraps, clock = MemoryWraps(), FixedClock()
    vault = Vault(wraps, MemoryKeys(), clock)
    old = vault.writer(*WHO)
    sealed = old.seal(*PLACE, b"old")
    erase(wraps, 1, "dsr_1")

    new = vault.writer(*WHO)
    assert (old.generation, new.generation) == (1, 2)
    with pytest.raises(InvalidCiphertext):
        new.open(*PLACE, sealed)
    with pytest.raises(SubjectErased) as refusal:
        vault.reader(*WHO, 1)
    assert refusal.value.erased_at == 1000
    assert wraps.items[WHO].tombstones.keys() == {1}


def test_a_late_writer_of_the_closed_generation_finds_out() -> None:
    wraps = MemoryWraps()
    vault = Vault(wraps, MemoryKeys(), FixedClock())
    writer = vault.writer(*WHO)
    assert vault.still_open(writer)

    wraps.freeze(*WHO, 1, "dsr_1")
    assert not vault.still_open(writer)
    wraps.unfreeze(*WHO, 1, "dsr_1")
    assert vault.still_open(writer)
    erase(wraps, 1, "dsr_1")
    assert not vault.still_open(writer)
    with pytest.raises(SubjectErased):
        writer.seal(*PLACE, b"late")
    vault.writer(*WHO)
    assert not vault.still_open(writer)


def test_still_open_of_a_subject_without_an_item_is_false() -> None:
    wraps = MemoryWraps()
    vault = Vault(wraps, MemoryKeys(), FixedClock())
    writer = vault.writer(*WHO)
    wraps.items.clear()
    assert not vault.still_open(writer)


def test_the_tombstone_holds_the_evidence_and_no_key() -> None:
    wraps = MemoryWraps()
    Vault(wraps, MemoryKeys("arn:epoch"), FixedClock()).writer(*WHO)
    wrapped = wraps.items[WHO].wraps[1]
    closed = erase(wraps, 1, "dsr_1", now=1234.9)
    assert (closed.state, dict(closed.wraps), closed.erased_at) == (State.ERASED, {}, 1234)
    assert closed.tombstones[1] == Tombstone(1234, "dsr_1", "arn:epoch", {1: hashlib.sha256(wrapped).hexdigest()})


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_late_create_never_overwrites_a_tombstone(generation: int) -> None:
    wraps = MemoryWraps()
    wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    erase(wraps, 1, "dsr_1")
    if generation == 2:
        assert wraps.create(*WHO, 2, b"new", "arn", now=2.0).tombstones[1].erased_at == 1000
    before = wraps.items[WHO]
    with pytest.raises(Conflict):
        wraps.create(*WHO, generation, b"again", "arn", now=3.0)
    assert wraps.items[WHO] == before


def test_the_first_generation_is_1() -> None:
    with pytest.raises(Conflict):
        MemoryWraps().create(*WHO, 2, b"wrap", "arn", now=1.0)


def test_destroy_is_idempotent_for_its_case_also_when_the_person_is_back() -> None:
    wraps = MemoryWraps()
    vault = Vault(wraps, MemoryKeys(), FixedClock())
    vault.writer(*WHO)
    first = erase(wraps, 1, "dsr_1")
    assert wraps.destroy(*WHO, 1, 9999.0, "dsr_1") == first
    assert vault.writer(*WHO).generation == 2
    again = wraps.destroy(*WHO, 1, 9999.0, "dsr_1")
    assert (again.generation, again.state, again.erased_at) == (1, State.ERASED, 1000)
    assert again.tombstones[1] == first.tombstones[1]
    assert vault.reader(*WHO, 2).generation == 2
    with pytest.raises(Conflict):
        wraps.destroy(*WHO, 1, 9999.0, "dsr_2")


def test_only_the_case_that_froze_may_go_on() -> None:
    wraps = MemoryWraps()
    wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    with pytest.raises(Conflict):  # not frozen: a cancelled case cannot destroy
        wraps.destroy(*WHO, 1, 1000.0, "dsr_1")
    assert wraps.unfreeze(*WHO, 1, "dsr_1").state is State.ACTIVE
    assert wraps.freeze(*WHO, 1, "dsr_1") == wraps.freeze(*WHO, 1, "dsr_1")
    for step in (wraps.freeze, wraps.unfreeze):
        with pytest.raises(Conflict):
            step(*WHO, 1, "dsr_2")
    with pytest.raises(Conflict):
        wraps.destroy(*WHO, 1, 1000.0, "dsr_2")
    assert wraps.items[WHO].wraps == {1: b"wrap"}


def test_no_step_works_on_a_closed_or_missing_generation() -> None:
    wraps = MemoryWraps()
    for step in (wraps.freeze, wraps.unfreeze):
        with pytest.raises(Conflict):
            step(*WHO, 1, "dsr_1")
    with pytest.raises(Conflict):
        wraps.destroy(*WHO, 1, 1000.0, "dsr_1")
    wraps.create(*WHO, 1, b"wrap", "arn", now=1.0)
    erase(wraps, 1, "dsr_1")
    for step in (wraps.freeze, wraps.unfreeze):
        with pytest.raises(Conflict):
            step(*WHO, 1, "dsr_1")


def test_the_loser_of_a_creation_race_uses_the_winners_key() -> None:
    class Raced(MemoryWraps):
        """Another function creates the item between this one's read and write."""

        def create(
            self, project: str, subject: str, generation: int, wrapped: bytes, key_arn: str, **rest: Any
        ) -> VaultItem:
            if WHO not in self.items:
                _, other, arn = keys.generate(
                    {"tenant": project, "subject": subject, "generation": "1", "purpose": "subject-key"}
                )
                super().create(project, subject, generation, other, arn, **rest)
            return super().create(project, subject, generation, wrapped, key_arn, **rest)

    keys, wraps = MemoryKeys(), Raced()
    mine = Vault(wraps, keys, FixedClock()).writer(*WHO)
    theirs = Vault(wraps, keys, FixedClock()).reader(*WHO, 1)
    assert theirs.open(*PLACE, mine.seal(*PLACE, b"text")) == b"text"


def test_a_race_that_is_lost_for_ever_fails_closed() -> None:
    class Hopeless(MemoryWraps):
        def create(
            self, project: str, subject: str, generation: int, wrapped: bytes, key_arn: str, **rest: Any
        ) -> VaultItem:
            raise Conflict

    with pytest.raises(KeyUnavailable):
        Vault(Hopeless(), MemoryKeys(), FixedClock()).writer(*WHO)


def test_many_threads_open_one_generation() -> None:
    wraps, keys, barrier, sealed = MemoryWraps(), MemoryKeys(), threading.Barrier(16), list[bytes]()

    def write() -> None:
        vault = Vault(wraps, keys, FixedClock())
        barrier.wait()
        sealed.append(vault.writer(*WHO).seal(*PLACE, b"text"))

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = Vault(wraps, keys, FixedClock()).reader(*WHO, 1)
    assert [reader.open(*PLACE, blob) for blob in sealed] == [b"text"] * 16


class AnyOrder(RuleBasedStateMachine):
    """Any steps in any order by two cases: closed generations never change and never open."""

    def __init__(self) -> None:
        super().__init__()
        self.wraps = MemoryWraps()
        self.closed: dict[int, Tombstone] = {}

    cases = st.sampled_from(["dsr_1", "dsr_2"])
    generations = st.integers(1, 5)

    @rule(generation=generations, wrapped=st.binary(min_size=1, max_size=4))
    def create(self, generation: int, wrapped: bytes) -> None:
        try:
            self.wraps.create(*WHO, generation, wrapped, "arn", now=1.0)
        except Conflict:
            return
        assert generation not in self.closed
        assert generation == len(self.closed) + 1

    @rule(generation=generations, case=cases)
    def freeze(self, generation: int, case: str) -> None:
        try:
            assert self.wraps.freeze(*WHO, generation, case).frozen_by == case
        except Conflict:
            return

    @rule(generation=generations, case=cases)
    def unfreeze(self, generation: int, case: str) -> None:
        try:
            assert self.wraps.unfreeze(*WHO, generation, case).frozen_by is None
        except Conflict:
            return

    @rule(generation=generations, case=cases, now=st.integers(1, 10**9))
    def destroy(self, generation: int, case: str, now: int) -> None:
        before = self.wraps.items.get(WHO)
        try:
            item = self.wraps.destroy(*WHO, generation, now, case)
        except Conflict:
            assert self.wraps.items.get(WHO) == before
            return
        assert item.state is State.ERASED
        assert not item.wraps
        if generation not in self.closed:
            assert before is not None
            assert (before.state, before.frozen_by) == (State.FROZEN, case)
            self.closed[generation] = item.tombstones[generation]

    @invariant()
    def tombstones_are_for_ever(self) -> None:
        item = self.wraps.items.get(WHO)
        assert (dict(item.tombstones) if item else {}) == self.closed
        if item and item.state is State.ERASED:
            assert not item.wraps


TestAnyOrder = AnyOrder.TestCase
