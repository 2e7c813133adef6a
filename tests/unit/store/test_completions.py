"""Stored completions: chunks, pages, isolation, and the order of writes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatapi.catalogue import Catalogued, NotInCatalogue, catalogue
from chatapi.errors import NotFound, SubjectErased
from chatapi.ids import completion_id
from chatapi.store.sealed import CHUNK_BYTES
from chatapi.vault import InvalidCiphertext, KeyUnavailable, SubjectHandle
from tests.support.campaign import examples
from tests.support.chat_world import PROJECT, World


def save(world: World, body: bytes, subject: str = "sub_a") -> str:
    name = completion_id(world.clock.now())
    world.clock.advance(1)
    world.completions.save(world.completions.open_for(PROJECT, subject), name, body)
    return name


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
def test_a_body_of_any_size_comes_back_as_it_was(size: int) -> None:
    world, body = World(), os.urandom(size)
    name = save(world, body)
    assert world.completions.load(PROJECT, name).body == body
    assert all(len(row.get("body", b"")) <= CHUNK_BYTES + 75 for row in world.rows.rows.values())


def test_a_missing_or_exchanged_chunk_is_never_half_a_body() -> None:
    world = World()
    name = save(world, os.urandom(2 * CHUNK_BYTES))
    keys = sorted(key for key in world.rows.rows if str(key[1]).startswith("completion#"))
    first, second = (world.rows.rows[key] for key in keys)
    first["body"], second["body"] = second["body"], first["body"]
    with pytest.raises(InvalidCiphertext):
        world.completions.load(PROJECT, name)
    del world.rows.rows[keys[1]]
    with pytest.raises(NotFound):
        world.completions.load(PROJECT, name)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.booleans())
@settings(max_examples=examples(15))
def test_pages_cover_everything_once_and_in_order(limits: list[int], descending: bool) -> None:
    world = World()
    names = [save(world, b"x", f"sub_{i % 3}") for i in range(9)]
    seen: list[str] = []
    more, step = True, 0
    while more:
        page, more = world.completions.list(
            PROJECT, after=seen[-1] if seen else None, limit=limits[step % len(limits)], descending=descending
        )
        seen += [stored.id for stored in page]
        step += 1
    assert seen == (names[::-1] if descending else names)


def test_a_page_has_fewer_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr("chatapi.store.completions.PAGE_BYTES", 100)
    names = [save(world, b"x" * size) for size in (60, 60, 200, 10, 10)]
    pages, after, more = [], None, True
    while more:
        page, more = world.completions.list(PROJECT, after=after)
        pages.append([stored.id for stored in page])
        after = page[-1].id
    assert pages == [names[:1], names[1:2], names[2:3], names[3:]]


def test_another_project_sees_nothing() -> None:
    world = World()
    name = save(world, b"x")
    assert world.completions.list("project2") == ([], False)
    for act in (world.completions.load, world.completions.delete):
        with pytest.raises(NotFound):
            act("project2", name)


def test_an_expired_record_is_invisible_at_once() -> None:
    world = World()
    name = save(world, b"x")
    world.clock.advance(31 * 86400)
    with pytest.raises(NotFound):
        world.completions.load(PROJECT, name)
    assert world.completions.list(PROJECT) == ([], False)


def test_after_the_key_is_gone_rows_that_remain_say_410() -> None:
    world = World()
    name = save(world, b"x")
    world.wraps.freeze(PROJECT, "sub_a", 1, "dsr_1")
    world.wraps.destroy(PROJECT, "sub_a", 1, world.clock.now(), "dsr_1")
    with pytest.raises(SubjectErased):
        world.completions.load(PROJECT, name)
    assert world.completions.list(PROJECT) == ([], False)


def test_a_write_that_could_not_be_checked_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a Vault that does not answer after the write, when an erasure may have come in between
    world = World()

    def unavailable(handle: SubjectHandle) -> bool:
        raise KeyUnavailable

    monkeypatch.setattr(world.vault, "still_open", unavailable)
    with pytest.raises(KeyUnavailable):
        save(world, b"x")
    assert world.rows.rows == {}


def test_delete_leaves_nothing() -> None:
    world = World()
    world.completions.delete(PROJECT, save(world, os.urandom(CHUNK_BYTES + 1)))
    assert world.rows.rows == {}


def test_what_the_catalogue_does_not_name_is_not_written() -> None:
    records = Catalogued(World().rows, "records")
    for item in ({"kind": "unknown"}, {"kind": "locator", "prompt": "x"}, {"pk": "a"}):
        with pytest.raises(NotInCatalogue):
            records.put({"pk": "a", "sk": "b", **item})


def test_every_kind_says_where_it_lives_and_how_an_erasure_ends_it() -> None:
    kinds = catalogue().kinds.values()
    assert {kind.erase for kind in kinds} <= {"delete", "shred", "keep", "none"}
    assert all(kind.days for kind in kinds if kind.store == "records")
