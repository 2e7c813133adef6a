"""Story: the Vault item is read every time, KMS almost never, and an erased subject is refused on the next request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.clock import FixedClock
from chatapi.vault import (
    InvalidCiphertext,
    KeyUnavailable,
    State,
    SubjectErased,
    SubjectFrozen,
    SubjectHandle,
    Vault,
    key_context,
)
from chatapi.vault.cache import MAX_AGE
from chatapi.vault.memory import MemoryKeys, MemoryWraps
from tests.support.campaign import examples

PLACE = ("records", "prj#sub_a#1", "message#1", "body", 1)


class World:
    """A vault on fakes, with one subject that has one sealed message."""

    def __init__(self, cache_size: int = 256) -> None:
        self.wraps, self.keys, self.clock = MemoryWraps(), MemoryKeys(), FixedClock()
        self.vault = self.another_function(cache_size)
        self.handle = self.vault.writer("prj", "sub_a")
        self.sealed = self.handle.seal(*PLACE, b"text")

    def another_function(self, cache_size: int = 256) -> Vault:
        return Vault(self.wraps, self.keys, self.clock, cache_size=cache_size)

    def erase(self, subject: str = "sub_a", generation: int = 1) -> None:
        self.wraps.freeze("prj", subject, generation, "dsr_1")
        self.wraps.destroy("prj", subject, generation, self.clock.now(), "dsr_1")

    def read(self, vault: Vault | None = None) -> bytes:
        return (vault or self.vault).reader("prj", "sub_a", 1).open(*PLACE, self.sealed)


@pytest.fixture
def world() -> World:
    return World()


def test_a_cold_subject_costs_one_kms_call_and_twenty_warm_requests_none(world: World) -> None:
    assert (world.keys.generated, world.keys.unwrapped) == (1, 0)
    cold = world.another_function()
    world.read(cold)
    assert (world.keys.generated, world.keys.unwrapped) == (1, 1)

    reads = world.wraps.reads
    for _ in range(20):
        assert world.read(cold) == b"text"
    assert world.wraps.reads - reads == 20
    assert (world.keys.generated, world.keys.unwrapped) == (1, 1)


def test_erased_is_refused_on_the_very_next_request_of_a_warm_function(world: World) -> None:
    other = world.another_function()
    world.read(other)
    world.erase()
    calls = world.keys.calls
    for vault in (world.vault, other):
        with pytest.raises(SubjectErased) as refusal:
            vault.reader("prj", "sub_a", 1)
        assert refusal.value.erased_at == int(world.clock.now())
        assert refusal.value.status == 410
        assert len(vault._cache) == 0
    assert world.keys.calls == calls


def test_the_refusal_reaches_handles_that_are_still_held(world: World) -> None:
    handle = world.vault.reader("prj", "sub_a", 1)
    world.erase()
    with pytest.raises(SubjectErased):
        world.vault.reader("prj", "sub_a", 1)
    with pytest.raises(SubjectErased):
        handle.open(*PLACE, world.sealed)
    with pytest.raises(SubjectErased):
        world.handle.seal(*PLACE, b"late")


def test_a_missing_item_is_refused_and_its_key_dropped(world: World) -> None:
    world.wraps.items.clear()
    with pytest.raises(SubjectErased) as refusal:
        world.vault.reader("prj", "sub_a", 1)
    assert refusal.value.erased_at is None
    assert len(world.vault._cache) == 0


def test_an_entry_lives_300_seconds(world: World) -> None:
    world.clock.advance(MAX_AGE - 1)
    world.read()
    assert world.keys.unwrapped == 0
    world.clock.advance(1)
    world.read()
    assert world.keys.unwrapped == 1


def test_use_does_not_prolong_an_entry(world: World) -> None:
    for _ in range(10):
        world.clock.advance(MAX_AGE / 5)
        world.read()
    assert world.keys.unwrapped == 2


@pytest.mark.parametrize("stopped", ["wall", "monotonic"])
def test_either_clock_ends_an_entry(stopped: str) -> None:
    class Clocks:
        wall = mono = 1_800_000_000.0

        def now(self) -> float:
            return self.wall

        def monotonic(self) -> float:
            return self.mono

    clock, keys = Clocks(), MemoryKeys()
    vault = Vault(MemoryWraps(), keys, clock)
    vault.writer("prj", "sub_a")
    if stopped == "wall":
        clock.mono += MAX_AGE
    else:
        clock.wall += MAX_AGE
    vault.reader("prj", "sub_a", 1)
    assert keys.unwrapped == 1


def test_a_wall_clock_that_was_set_back_ends_an_entry(world: World) -> None:
    world.clock.advance(-1)
    world.read()
    assert world.keys.unwrapped == 1


def test_an_old_handle_reads_the_item_and_unwraps_again(world: World) -> None:
    handle = world.vault.reader("prj", "sub_a", 1)
    world.clock.advance(MAX_AGE)
    reads = world.wraps.reads
    assert handle.open(*PLACE, world.sealed) == b"text"
    assert handle.open(*PLACE, world.sealed) == b"text"
    assert (world.wraps.reads - reads, world.keys.unwrapped) == (1, 1)


def test_an_old_handle_of_an_erased_subject_is_refused_even_if_no_one_else_looked(world: World) -> None:
    handle = world.vault.reader("prj", "sub_a", 1)
    world.erase()
    world.clock.advance(MAX_AGE)
    with pytest.raises(SubjectErased):
        handle.open(*PLACE, world.sealed)


def test_a_wrap_moved_to_another_subject_does_not_pass_warm(world: World) -> None:
    # Given both subjects warm
    world.vault.writer("prj", "sub_b")
    # When someone who may write the table puts a's wrap into b's item
    stolen = world.wraps.items["prj", "sub_a"].wraps
    world.wraps.items["prj", "sub_b"] = replace(world.wraps.items["prj", "sub_b"], wraps=stolen)
    # Then neither the cache nor the key service gives a's key to b
    with pytest.raises(InvalidCiphertext):
        world.vault.reader("prj", "sub_b", 1)
    assert world.keys.unwrapped == 1


@pytest.mark.parametrize("change", [{"key_arn": "arn:other"}, {"generation": 2}])
def test_key_arn_and_generation_are_part_of_the_cache_key(world: World, change: dict[str, object]) -> None:
    item = replace(world.wraps.items["prj", "sub_a"], **change)  # type: ignore[arg-type]
    world.wraps.items["prj", "sub_a"] = item
    with pytest.raises(InvalidCiphertext):
        world.vault.reader("prj", "sub_a", item.generation)


def test_the_cache_is_bounded_and_the_least_recently_used_leaves() -> None:
    world = World(cache_size=2)
    world.vault.writer("prj", "sub_b")
    world.read()  # a is now the more recent one
    world.vault.writer("prj", "sub_c")
    assert len(world.vault._cache) == 2
    unwrapped = world.keys.unwrapped
    world.read()
    assert world.keys.unwrapped == unwrapped
    world.vault.writer("prj", "sub_b")
    assert world.keys.unwrapped == unwrapped + 1


def test_a_disabled_key_fails_closed_cold_and_works_again_when_enabled(world: World) -> None:
    cold = world.another_function()
    world.keys.disable()
    with pytest.raises(KeyUnavailable):
        world.read(cold)
    with pytest.raises(KeyUnavailable):
        cold.writer("prj", "sub_new")
    assert ("prj", "sub_new") not in world.wraps.items
    world.keys.enable()
    assert world.read(cold) == b"text"


def test_a_destroyed_wrapping_key_closes_everything_once_the_cache_is_cold(world: World) -> None:
    world.keys.destroy()
    world.clock.advance(MAX_AGE)
    with pytest.raises(KeyUnavailable):
        world.read()


def test_a_key_of_the_wrong_length_is_refused(world: World) -> None:
    class Short(MemoryKeys):
        def generate(self, context: object, key: str | None = None) -> tuple[bytes, bytes, str]:
            return bytes(32), bytes(60), "arn"

    with pytest.raises(KeyUnavailable):
        Vault(world.wraps, Short(), world.clock).writer("prj", "sub_b").seal(*PLACE, b"")


def test_kms_sees_opaque_ids_only(world: World) -> None:
    expected = {"tenant": "prj", "subject": "sub_a", "generation": "1", "purpose": "subject-key"}
    assert world.keys.contexts == [expected] == [key_context("prj", "sub_a", 1)]


def test_a_frozen_subject_is_readable_and_not_writable(world: World) -> None:
    world.wraps.freeze("prj", "sub_a", 1, "dsr_1")
    with pytest.raises(SubjectFrozen) as refusal:
        world.vault.writer("prj", "sub_a")
    assert refusal.value.status == 503
    assert len(world.vault._cache) == 0
    reader = world.vault.reader("prj", "sub_a", 1)
    assert reader.open(*PLACE, world.sealed) == b"text"
    with pytest.raises(SubjectFrozen):
        reader.seal(*PLACE, b"no")
    world.wraps.unfreeze("prj", "sub_a", 1, "dsr_1")
    assert isinstance(world.vault.writer("prj", "sub_a"), SubjectHandle)


def two_keyvers(world: World) -> None:
    """What a rotation leaves: keyver 2 for new messages, keyver 1 kept for the old ones."""
    item = world.wraps.items["prj", "sub_a"]
    _, wrapped, _ = world.keys.generate(key_context("prj", "sub_a", 1))
    world.wraps.items["prj", "sub_a"] = replace(item, keyver=2, wraps={**item.wraps, 2: wrapped})


def test_messages_of_an_older_keyver_open_with_one_more_unwrap(world: World) -> None:
    two_keyvers(world)
    cold = world.another_function().writer("prj", "sub_a")
    newer = cold.seal(*PLACE, b"new")
    assert newer[1:3] == b"\0\2"
    rows = [(PLACE[2], 1, sealed) for sealed in (world.sealed, newer, world.sealed, newer)]
    assert cold.open_all(PLACE[0], PLACE[1], PLACE[3], rows) == [b"text", b"new", b"text", b"new"]
    assert world.keys.unwrapped == 2


def test_a_handle_older_than_a_rotation_learns_of_it(world: World) -> None:
    handle = world.vault.reader("prj", "sub_a", 1)
    two_keyvers(world)
    newer = world.another_function().writer("prj", "sub_a").seal(*PLACE, b"new")
    assert handle.open(*PLACE, newer) == b"new"


@pytest.mark.parametrize("sealed", [b"", b"\1", b"\1\0\1", b"\1\0\7" + bytes(80), b"\2\0\1" + bytes(80)])
def test_what_names_no_key_of_the_subject_does_not_open(world: World, sealed: bytes) -> None:
    with pytest.raises(InvalidCiphertext):
        world.handle.open(*PLACE, sealed)


def test_open_all_opens_each_row_at_its_own_place_or_nothing(world: World) -> None:
    rows = [(f"m#{n}", n % 3, world.handle.seal("records", "pk", f"m#{n}", "body", n % 3, b"%d" % n)) for n in range(9)]
    assert world.handle.open_all("records", "pk", "body", iter(rows)) == [b"%d" % n for n in range(9)]
    assert world.handle.open_all("records", "pk", "body", []) == []
    swapped = [rows[0], (rows[1][0], rows[1][1], rows[4][2])]
    with pytest.raises(InvalidCiphertext):
        world.handle.open_all("records", "pk", "body", swapped)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2), st.sampled_from(["", "cut", "bit", "move"])), max_size=9)
)
@settings(max_examples=examples(60))
def test_open_all_is_open_for_each_row(choices: list[tuple[int, int, str]]) -> None:
    world = World()
    rows, one_by_one = [], list[bytes | None]()
    for number, revision, damage in choices:
        sk = f"m#{number}"
        sealed = world.handle.seal("records", "pk", sk, "body", revision, bytes(number))
        if damage == "cut":
            sealed = sealed[: 10 * number]
        elif damage == "bit":
            sealed = sealed[:60] + bytes([sealed[60] ^ 1]) + sealed[61:]
        elif damage == "move":
            sk += "x"
        rows.append((sk, revision, sealed))
        try:
            one_by_one.append(world.handle.open("records", "pk", sk, "body", revision, sealed))
        except InvalidCiphertext:
            one_by_one.append(None)
    if None in one_by_one:
        with pytest.raises(InvalidCiphertext):
            world.handle.open_all("records", "pk", "body", rows)
    else:
        assert world.handle.open_all("records", "pk", "body", rows) == one_by_one


def test_a_handle_that_serves_many_partitions_stays_bounded_and_right(world: World) -> None:
    for number in range(200):
        place = ("records", f"pk#{number}", "sk", "body", 1)
        assert world.handle.open(*place, world.handle.seal(*place, b"x")) == b"x"
    assert len(world.handle._places) <= 64


def test_an_active_item_without_its_current_key_fails_closed(world: World) -> None:
    world.wraps.items["prj", "sub_a"] = replace(world.wraps.items["prj", "sub_a"], wraps={}, state=State.ACTIVE)
    for call in (lambda: world.vault.writer("prj", "sub_a"), lambda: world.vault.reader("prj", "sub_a", 1)):
        with pytest.raises(InvalidCiphertext):
            call()


def test_stale_keys_of_others_leave_with_the_next_unwrap(world: World) -> None:
    world.clock.advance(MAX_AGE)
    world.vault.writer("prj", "sub_b")
    assert len(world.vault._cache) == 1
