"""Encrypted records of any kind: chunks, pages, revisions, races, take-backs, marks."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.aws.errors import AwsUnavailable
from chatapi.errors import NotFound, SubjectErased
from chatapi.ids import random62
from chatapi.store.items import Item
from chatapi.store.records import Record, Stale
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.vault import InvalidCiphertext, SubjectFrozen, SubjectHandle
from tests.support.campaign import examples
from tests.support.chat_world import PROJECT, World

BIG = 2 * CHUNK_BYTES + 5


def put(world: World, body: bytes, name: str | None = None) -> tuple[SubjectHandle, Record]:
    handle = world.records.writer(PROJECT, "sub_a")
    (record,) = world.records.put(handle, "conversation", [(name or "conv_" + random62(20), body)])
    return handle, record


def freeze(world: World) -> None:
    world.wraps.freeze(PROJECT, "sub_a", 1, "dsr_1")


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, BIG])
def test_a_body_of_any_size_comes_back_and_is_nowhere_in_clear(size: int) -> None:
    world, body = World(), os.urandom(size)
    handle, record = put(world, body)
    assert world.records.find(PROJECT, "conversation", record.id)[1] == record
    assert world.records.get(handle, "conversation", record.id).body == body
    for row in world.rows.rows.values():
        assert len(row.get("body", b"")) <= CHUNK_BYTES + 75
        assert size < 16 or body[:16] not in repr(row).encode() + row.get("body", b"")


def test_an_update_needs_the_revision_it_was_decided_on() -> None:
    world = World()
    handle, first = put(world, b"one")
    second = world.records.update(handle, first, b"two")
    assert (second.revision, second.expires) == (2, first.expires)
    with pytest.raises(Stale):
        world.records.update(handle, first, b"lost")
    assert world.records.get(handle, "conversation", first.id) == second
    world.records.delete(handle, "conversation", first.id)
    with pytest.raises(Stale):
        world.records.update(handle, second, b"back")
    assert world.rows.rows == {}


def _between(
    world: World, inner: Callable[..., None], other: Callable[[], Record], winner: list[Record], item: Item, **rest: Any
) -> None:
    """The other writer's whole update, between this one's chunks and its head."""
    world.rows.put = inner  # type: ignore[method-assign]
    winner.append(other())
    inner(item, **rest)


@given(st.lists(st.sampled_from([3, BIG]), min_size=1, max_size=6))
@settings(max_examples=examples(10))
def test_of_racing_updates_one_wins_whole(sizes: list[int]) -> None:
    # given writers that read the same revision and write bodies of one and of several chunks
    world = World()
    handle, record = put(world, b"start")
    for size in sizes:
        mine, theirs = os.urandom(size), os.urandom(BIG)
        inner = world.rows.put
        winner: list[Record] = []
        between = partial(_between, world, inner, lambda r=record, b=theirs: world.records.update(handle, r, b), winner)
        world.rows.put = between  # type: ignore[method-assign]
        with pytest.raises(Stale):
            world.records.update(handle, record, mine)
        world.rows.put = inner  # type: ignore[method-assign]
        record = world.records.get(handle, "conversation", record.id)
        assert record == winner[0]
    assert len(world.rows.rows) == 1 + 1 + 2  # locator, head, two chunks: nothing is left of the losers


def test_pages_hold_every_child_once_and_no_chunk_shows() -> None:
    world = World()
    handle, parent = put(world, b"")
    names = [f"msg_{i:03d}" for i in range(23)]
    bodies = [(name, os.urandom(BIG if i % 5 == 0 else 7)) for i, name in enumerate(names)]
    world.records.put(handle, "item", bodies, parent=parent.id)
    world.records.put(handle, "item", [("msg_x", b"")], parent="conv_other")
    for descending in (False, True):
        seen: list[Record] = []
        more = True
        while more:
            page, more = world.records.page(
                handle, "item", parent=parent.id, after=seen[-1].id if seen else None, limit=4, descending=descending
            )
            seen += page
        assert [(r.id, r.body) for r in seen] == (bodies[::-1] if descending else bodies)
    found = world.records.get_many(handle, "item", ["msg_004", "msg_none", "#", "msg_000"], parent=parent.id)
    assert [r.id for r in found] == ["msg_004", "msg_000"]


def test_a_chunk_that_is_missing_or_exchanged_is_never_half_a_body() -> None:
    world = World()
    handle, record = put(world, os.urandom(BIG))
    keys = sorted(key for key, row in world.rows.rows.items() if "body" in row)
    one, two = (world.rows.rows[key] for key in keys[1:])
    one["body"], two["body"] = two["body"], one["body"]
    with pytest.raises(InvalidCiphertext):
        world.records.get(handle, "conversation", record.id)
    del world.rows.rows[keys[1]]
    with pytest.raises(NotFound):
        world.records.get(handle, "conversation", record.id)
    assert world.records.page(handle, "conversation") == ([], False)


def test_delete_takes_children_and_chunks_and_leaves_marks_alone() -> None:
    world = World()
    handle, record = put(world, os.urandom(BIG))
    world.records.put(handle, "item", [(f"msg_{i}", b"x") for i in range(120)], parent=record.id)
    keys = list(world.rows.rows)
    world.records.delete(handle, "conversation", record.id, children=("item",))
    assert world.rows.rows == {}
    assert set(world.marks.of(keys)) == set(keys)
    assert record.id not in repr(world.marked.rows)


def test_every_record_is_walked_over_and_the_children_of_one_that_is_not_the_persons_too() -> None:
    world = World()
    handle = world.records.writer(PROJECT, "sub_a")
    names = [f"conv_{i:02d}" for i in range(5)]
    world.records.put(handle, "conversation", [(name, os.urandom(9)) for name in names])
    for name in names:
        big = [(f"msg_{i:03d}", os.urandom(BIG if i == 40 else 9)) for i in range(70)]
        world.records.put(handle, "item", big, parent=name)
    world.records.put(handle, "conversation", [("conv_short", b"x")], ceiling_days=1)
    world.clock.advance(86_400)
    handle = world.records.writer(PROJECT, "sub_a")
    # given that of one the head is gone, and of another a chunk
    world.rows.delete_all([key for key in world.rows.rows if key[1] == "conversation#conv_01"])
    world.rows.delete_all([key for key in list(world.rows.rows) if str(key[1]).startswith("item#conv_03#msg_040#")][:1])
    # when
    found = list(world.records.every(handle, "conversation"))
    children = list(world.records.every(handle, "item", nested=True))
    # then
    assert [record.id for record in found] == ["conv_00", "conv_02", "conv_03", "conv_04"]
    assert [(child.parent, child.id) for child in children] == [
        (name, f"msg_{i:03d}") for name in names for i in range(70) if (name, i) != ("conv_03", 40)
    ]
    for child in (children[0], children[40], children[-1]):
        assert child == world.records.get(handle, "item", child.id, parent=child.parent)


def test_a_record_expires_with_its_term_or_earlier_and_a_new_one_may_take_its_id() -> None:
    world = World()
    handle = world.records.writer(PROJECT, "sub_a")
    (record,) = world.records.put(handle, "conversation", [("me", b"1")], absent=True, ceiling_days=2)
    with pytest.raises(Stale):
        world.records.put(handle, "conversation", [("me", b"2")], absent=True)
    assert world.records.get(handle, "conversation", "me").body == b"1"
    assert record.expires == world.clock.now() + 2 * 86400
    world.clock.advance(2 * 86400)
    with pytest.raises(NotFound):
        world.records.get(handle, "conversation", "me")
    handle = world.records.writer(PROJECT, "sub_a")
    (again,) = world.records.put(handle, "conversation", [("me", b"2")], absent=True, until=int(world.clock.now()) + 9)
    assert (again.body, again.expires) == (b"2", int(world.clock.now()) + 9)


@pytest.mark.parametrize("absent", [False, True])
def test_what_was_written_while_an_erasure_froze_is_taken_back(absent: bool) -> None:
    world = World()
    handle = world.records.writer(PROJECT, "sub_a")
    freeze(world)
    with pytest.raises(SubjectFrozen):
        world.records.put(handle, "conversation", [("conv_1", os.urandom(BIG))], absent=absent)
    assert world.rows.rows == {}


def test_an_update_while_an_erasure_froze_puts_the_former_body_back() -> None:
    world = World()
    handle, record = put(world, os.urandom(BIG))
    before = dict(world.rows.rows)
    freeze(world)
    with pytest.raises(SubjectFrozen):
        world.records.update(handle, record, os.urandom(BIG))
    assert world.rows.rows == before
    # and one that the erasure has deleted meanwhile does not come back
    world.rows.rows.clear()
    with pytest.raises(Stale):
        world.records.update(handle, record, b"late")
    assert world.rows.rows == {}


@pytest.mark.parametrize("happened", [False, True])
def test_an_update_whose_answer_was_lost_is_whole_in_either_state(happened: bool) -> None:
    world = World()
    handle, record = put(world, os.urandom(BIG))
    inner = world.rows.put

    def lost(item: Item, **rest: Any) -> None:
        world.rows.put = inner  # type: ignore[method-assign]
        if happened:
            inner(item, **rest)
        raise AwsUnavailable("Timeout")

    world.rows.put = lost  # type: ignore[method-assign]
    with pytest.raises(AwsUnavailable):
        world.records.update(handle, record, os.urandom(BIG))
    assert world.records.get(handle, "conversation", record.id) == record


def test_other_projects_ids_and_destroyed_keys_open_nothing() -> None:
    world = World()
    handle, record = put(world, b"x")
    for project, kind, name in (("project2", "conversation", record.id), (PROJECT, "response", record.id)):
        with pytest.raises(NotFound):
            world.records.find(project, kind, name)
    for name in ("", "a#b", "x" * 129, "\u00e9"):
        with pytest.raises(NotFound):
            world.records.find(PROJECT, "conversation", name)
        with pytest.raises(ValueError, match="id"):
            world.records.put(handle, "conversation", [(name, b"")])
    freeze(world)
    world.wraps.destroy(PROJECT, "sub_a", 1, world.clock.now(), "dsr_1")
    with pytest.raises(SubjectErased):
        world.records.find(PROJECT, "conversation", record.id)
