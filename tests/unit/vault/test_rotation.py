"""Story: keys are replaced under running traffic, whatever is interrupted; a tenant's key is nobody else's business."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.clock import FixedClock
from chatapi.vault import (
    Conflict,
    InvalidCiphertext,
    KeyUnavailable,
    State,
    SubjectErased,
    TenantKeyUnavailable,
    Vault,
    VaultItem,
)
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from chatapi.vault.rotation import Progress, Target, census, rewrap, rotate
from tests.support.campaign import examples

PLACE = ("records", "pk", "sk", "body", 1)
NEW, TENANT = "arn:aws:kms:eu-central-1:000000000000:key/new", "arn:aws:kms:eu-central-1:111111111111:key/theirs"


class World:
    def __init__(self, subjects: int = 5) -> None:
        self.wraps, self.keys, self.clock = MemoryWraps(), MemoryKeys(), FixedClock()
        self.vault = self.cold()
        self.subjects = [f"sub_{number}" for number in range(subjects)]
        self.sealed = {s: self.vault.writer("prj", s).seal(*PLACE, s.encode()) for s in self.subjects}

    def cold(self) -> Vault:
        return Vault(self.wraps, self.keys, self.clock)

    def opens(self, vault: Vault) -> bool:
        return all(vault.reader("prj", s, 1).open(*PLACE, self.sealed[s]) == s.encode() for s in self.subjects)

    def rewrap(self, arn: str = NEW, **options: object) -> Progress:
        return self.all_of(self.job(arn, **options))

    def job(self, arn: str = NEW, **options: object):  # type: ignore[no-untyped-def]
        sleep = self.clock.advance
        return rewrap(self.wraps, self.keys, lambda p: Target(arn), clock=self.clock, sleep=sleep, **options)  # type: ignore[arg-type]

    @staticmethod
    def all_of(job) -> Progress:  # type: ignore[no-untyped-def]
        *_, last = job
        return last  # type: ignore[no-any-return]


def test_a_rotated_subject_writes_under_the_new_version_and_reads_both() -> None:
    world = World(1)
    before = world.vault.writer("prj", "sub_0")
    assert rotate(world.wraps, world.keys, "prj", "sub_0", Target(world.keys.key_arn)) == 2
    old = before.seal(*PLACE, b"in flight")
    new = world.cold().writer("prj", "sub_0").seal(*PLACE, b"new")
    assert (old[2], new[2]) == (1, 2)
    for vault in (world.vault, world.cold()):
        reader = vault.reader("prj", "sub_0", 1)
        assert [reader.open(*PLACE, m) for m in (world.sealed["sub_0"], old, new)] == [b"sub_0", b"in flight", b"new"]
    # an erasure takes every version
    world.wraps.freeze("prj", "sub_0", 1, "c")
    with pytest.raises(Conflict):
        rotate(world.wraps, world.keys, "prj", "sub_0", Target(NEW))
    assert set(world.wraps.destroy("prj", "sub_0", 1, 1.0, "c").tombstones[1].wrap_sha256) == {1, 2}
    with pytest.raises(SubjectErased):
        world.vault.reader("prj", "sub_0", 1)


def test_a_rotation_under_a_new_epoch_moves_the_older_versions_in_the_same_write() -> None:
    world = World(1)
    rotate(world.wraps, world.keys, "prj", "sub_0", Target(NEW))
    item = world.wraps.items["prj", "sub_0"]
    assert (item.key_arn, set(item.wraps), item.keyver) == (NEW, {1, 2}, 2)
    world.keys.destroy()  # the old epoch is gone
    assert world.opens(world.cold())


def test_everything_moves_and_the_old_epoch_may_go() -> None:
    world = World()
    world.wraps.freeze("prj", "sub_1", 1, "c")
    world.wraps.freeze("prj", "sub_2", 1, "c")
    world.wraps.destroy("prj", "sub_2", 1, 1.0, "c")
    assert world.rewrap(dry_run=True).outcomes == {"moved": 4, "erased": 1}
    assert {arn for _, arn, _ in census(world.wraps)} == {world.keys.key_arn}
    assert world.rewrap().outcomes == {"moved": 4, "erased": 1}
    assert world.rewrap().outcomes == {"current": 4, "erased": 1}
    world.keys.destroy()
    world.subjects.remove("sub_2")
    assert world.opens(world.cold())
    assert world.wraps.items["prj", "sub_1"].state is State.FROZEN


def test_it_keeps_to_its_rate() -> None:
    world = World(20)
    began = world.clock.now()
    world.rewrap(per_second=4)
    assert world.clock.now() - began == pytest.approx(5, abs=0.3)


@given(stop=st.integers(0, 4), erased=st.integers(0, 4))
@settings(max_examples=examples(25))
def test_an_interrupted_job_resumes_at_its_cursor_and_loses_nothing(stop: int, erased: int) -> None:
    world = World()
    job, last = world.job(), Progress()
    for _ in range(stop):
        last = replace(next(job, last))
    victim = world.subjects.pop(erased)  # and an erasure goes on meanwhile
    world.wraps.freeze("prj", victim, 1, "c")
    world.wraps.destroy("prj", victim, 1, 1.0, "c")
    if not last.done:
        world.rewrap(after=last.cursor)
    assert {item.key_arn for item in world.wraps.items.values() if item.wraps} <= {NEW}
    assert world.wraps.items["prj", victim].wraps == {}
    assert world.opens(world.cold())


def test_an_erasure_between_read_and_write_wins() -> None:
    world = World(1)

    class Raced(MemoryKeys):
        def rewrap(self, *args: object) -> bytes:
            world.wraps.freeze("prj", "sub_0", 1, "c")
            world.wraps.destroy("prj", "sub_0", 1, 1.0, "c")
            return b"late"

    job = rewrap(world.wraps, Raced(), lambda p: Target(NEW), clock=world.clock, sleep=world.clock.advance)
    assert world.all_of(job).outcomes == {"erased": 1}
    assert world.wraps.items["prj", "sub_0"].wraps == {}


def test_an_item_whose_key_does_not_answer_is_counted_and_left() -> None:
    world = World(2)
    before = dict(world.wraps.items)
    world.keys.disable()
    stopped = world.rewrap()
    assert stopped.outcomes == {"unanswered": 2}
    assert [stuck[:4] for stuck in stopped.stuck] == [("prj", name, 1, "unanswered") for name in world.subjects]
    assert world.wraps.items == before
    world.keys.enable()
    assert world.rewrap().outcomes == {"moved": 2}


def test_a_damaged_wrap_is_named_and_stops_no_other() -> None:
    # given a wrap that was put into another subject's item
    world = World(5)
    items = world.wraps.items
    items["prj", "sub_1"] = replace(items["prj", "sub_1"], wraps=items["prj", "sub_2"].wraps)
    # then every run names it, and the rest is moved by the first one
    for moved in ({"moved": 4}, {"current": 4}):
        stuck = []
        for progress in world.job():
            stuck += progress.stuck
        assert progress.outcomes == {"damaged": 1, **moved}
        assert [one[:4] for one in stuck] == [("prj", "sub_1", 1, "damaged")]
    world.subjects.remove("sub_1")
    assert world.opens(world.cold())


@pytest.mark.parametrize("wraps", [{}, {2: b"new"}, {1: b"one"}])
def test_no_version_that_old_messages_need_can_be_lost(wraps: dict[int, bytes]) -> None:
    from chatapi.vault.lifecycle import rekeyed

    item = VaultItem("p", "s", 1, State.ACTIVE, 2, {1: b"a", 2: b"b"}, "arn", 1)
    with pytest.raises(Conflict):
        rekeyed(item, wraps, "arn")
    with pytest.raises(Conflict):
        rekeyed(replace(item, state=State.ERASED, wraps={}), {1: b"x"}, "arn", keyver=1)


def test_a_lost_tenant_key_is_a_503_of_its_own_and_never_the_deployments() -> None:
    # given a project that brought a key
    world = World(1)
    handle = world.vault.writer("prj", "sub_t", key=TENANT)
    sealed = handle.seal(*PLACE, b"theirs")
    assert (handle.tenant_key, world.wraps.items["prj", "sub_t"].tenant_key) == (TENANT, True)
    # when it is disabled
    world.keys.disable(TENANT)
    cold = world.cold()
    for act in (lambda: cold.reader("prj", "sub_t", 1), lambda: cold.writer("prj", "sub_new", key=TENANT)):
        with pytest.raises(TenantKeyUnavailable) as caught:
            act()
        assert (caught.value.status, caught.value.code) == (503, "tenant_key_unavailable")
        assert caught.value.__cause__ is caught.value.__context__ is None
        assert TENANT not in str(caught.value.payload())
    # then nothing was made under another key, others go on, and nothing is lost
    assert ("prj", "sub_new") not in world.wraps.items
    assert world.opens(cold)
    world.keys.enable(TENANT)
    assert cold.reader("prj", "sub_t", 1).open(*PLACE, sealed) == b"theirs"
    world.keys.disable()
    with pytest.raises(KeyUnavailable) as other:
        world.cold().reader("prj", "sub_0", 1)
    assert other.value.code == "service_unavailable"


def test_bringing_a_key_moves_what_there_is_and_taking_it_away_moves_it_back() -> None:
    world = World(2)
    for target in (Target(TENANT, tenant_key=True), Target(world.keys.key_arn)):
        job = rewrap(world.wraps, world.keys, lambda p, t=target: t, clock=world.clock, sleep=world.clock.advance)
        assert world.all_of(job).outcomes == {"moved": 2}
        assert census(world.wraps) == {("active", target.key_arn, target.tenant_key): 2}
        assert world.opens(world.cold())


def test_a_wrap_that_was_moved_to_another_subject_opens_neither_warm_nor_cold() -> None:
    world = World(2)
    mine, theirs = (world.wraps.items["prj", s] for s in world.subjects)
    world.wraps.items["prj", "sub_1"] = replace(theirs, wraps=mine.wraps)
    for vault in (world.vault, world.cold()):
        with pytest.raises(InvalidCiphertext):
            vault.reader("prj", "sub_1", 1)
