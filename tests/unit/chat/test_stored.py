"""Stored completions: pages, filters that read no more than they must, and updates of the metadata."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.scripted import answer
from chat.stored import packed, paging
from chatapi.errors import BadRequest, NotFound, SubjectErased
from chatapi.store.items import Change
from chatapi.store.sealed import CHUNK_BYTES
from tests.support import openai_types
from tests.support.chat_world import PROJECT, World, subject_of, whole


def keep(world: World, text: str = "a", **body: Any) -> str:
    world.provider.add(answer(text))
    world.clock.advance(1)
    name: str = whole(world.ask(store=True, **body))["id"]
    return name


def ids(world: World, **query: str) -> list[str]:
    return [completion["id"] for completion in world.stored.list(PROJECT, query)["data"]]


def test_a_page_has_bounds_however_they_are_written() -> None:
    assert paging({}) == (20, False, None)
    assert paging({"limit": "100", "order": "desc", "after": "x"}) == (100, True, "x")


@pytest.mark.parametrize("limit", ["", "0", "101", "-1", "1.5", "\u00b2", "0" * 8 + "1" + "0" * 7, "9" * 5000])
def test_a_limit_outside_is_refused(limit: str) -> None:
    with pytest.raises(BadRequest) as caught:
        paging({"limit": limit})
    assert caught.value.param == "limit"


def test_a_filter_finds_what_carries_the_pairs_and_decrypts_nothing_else() -> None:
    # given three completions
    world = World()
    first = keep(world, metadata={"topic": "x", "n": "1"})
    second = keep(world, metadata={"topic": "x"}, model="bedrock-smollm2-135m")
    keep(world, metadata={"topic": "y"})
    opened: list[str] = []
    records = world.completions._records
    read = records.get_many
    records.get_many = lambda *args: opened.extend(args[2]) or read(*args)  # type: ignore[method-assign, func-returns-value]
    # then each filter gives what it should, after opening just that
    for query, found in (
        ({"metadata[topic]": "x"}, [first, second]),
        ({"metadata[topic]": "x", "metadata[n]": "1"}, [first]),
        ({"model": "bedrock-smollm2-135m"}, [second]),
        ({"model": "smollm2-135m", "metadata[topic]": "x"}, [first]),
        ({"metadata[topic]": "z"}, []),
        ({"model": "other"}, []),
    ):
        opened.clear()
        assert ids(world, **query) == found
        assert len(opened) == len(found)


def test_two_pairs_of_one_digest_are_told_apart_after_decryption() -> None:
    world = World()
    name = keep(world, metadata={"topic": "x"})
    (locator,) = (row for row in world.rows.rows.values() if row["kind"] == "locator")
    (tag,) = locator["tags"]
    world.stored._tags = lambda project, metadata: frozenset({tag})
    assert ids(world, **{"metadata[topic]": "another"}) == []
    assert ids(world, **{"metadata[topic]": "x"}) == [name]


def test_a_locator_of_an_older_version_is_found_too() -> None:
    world = World()
    name = keep(world, metadata={"topic": "x"})
    (key,) = (key for key, row in world.rows.rows.items() if row["kind"] == "locator")
    del world.rows.rows[key]["model"], world.rows.rows[key]["tags"]
    assert ids(world, **{"metadata[topic]": "x", "model": "smollm2-135m"}) == [name]


def test_nothing_of_the_metadata_can_be_read_in_a_locator() -> None:
    world = World()
    keep(world, metadata={"canary-name": "canary-value"})
    (locator,) = (row for row in world.rows.rows.values() if row["kind"] == "locator")
    assert "canary" not in repr(locator)
    assert [len(tag) for tag in locator["tags"]] == [2]


def test_an_update_changes_the_metadata_and_nothing_else() -> None:
    world = World()
    name = keep(world, metadata={"topic": "x"})
    before = world.stored.retrieve(PROJECT, name)
    ends = {key: row["ttl"] for key, row in world.rows.rows.items()}
    changed = world.stored.update(PROJECT, name, {"topic": "y", "who": "\u00fc"})
    openai_types.chat_completion(changed, stored=True)
    assert changed == {**before, "metadata": {"topic": "y", "who": "\u00fc"}} == world.stored.retrieve(PROJECT, name)
    assert {key: row["ttl"] for key, row in world.rows.rows.items()} == ends
    assert ids(world, **{"metadata[topic]": "x"}) == []
    assert ids(world, **{"metadata[topic]": "y"}) == [name]
    assert world.stored.update(PROJECT, name, {})["metadata"] == {}
    assert ids(world, **{"metadata[topic]": "y"}) == []


@given(st.integers(-600, 600), st.integers(0, 40_000), st.integers(0, 40_000))
def test_an_update_fits_whatever_the_sizes_are(near: int, before: int, after: int) -> None:
    # given a body about as large as one or two chunks, and metadata of any size up to the most there may be
    world = World()
    name = keep(world)
    old = packed([{"role": "user", "content": "m" * (CHUNK_BYTES - before + near)}], _completion("b" * before))
    subject = subject_of(PROJECT, "owner", PROJECT)
    world.completions.save(world.completions.open_for(PROJECT, subject), name, old)
    # then the metadata can be exchanged
    changed = world.stored.update(PROJECT, name, {"k": "a" * after})
    assert world.stored.retrieve(PROJECT, name) == changed


def _completion(value: str) -> dict[str, Any]:
    return {"id": "x", "model": "m", "metadata": {"k": value}}


def test_an_update_of_what_is_not_there_is_a_404_and_of_a_strangers_too() -> None:
    world = World()
    name = keep(world)
    for project, wanted in ((PROJECT, "chatcmpl-" + "0" * 29), (PROJECT, "x"), ("project2", name)):
        with pytest.raises(NotFound):
            world.stored.update(project, wanted, {})


def test_an_update_brings_nothing_back() -> None:
    # given a completion that is deleted after the update has read it
    world = World()
    name = keep(world)
    update = world.rows.update

    def late(pk: str, sk: str | None, change: Change) -> Any:
        world.rows.update = update  # type: ignore[method-assign]
        world.stored.delete(PROJECT, name)
        return update(pk, sk, change)

    records = world.completions._table._table  # type: ignore[attr-defined]
    records.update = late
    # then it stays deleted
    with pytest.raises(NotFound):
        world.stored.update(PROJECT, name, {"a": "b"})
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}


def test_an_update_for_an_erased_subject_is_refused() -> None:
    world, subject = World(), subject_of(PROJECT, "owner", PROJECT)
    name = keep(world)
    world.wraps.freeze(PROJECT, subject, 1, "dsr_1")
    world.wraps.destroy(PROJECT, subject, 1, world.clock.now(), "dsr_1")
    with pytest.raises(SubjectErased):
        world.stored.update(PROJECT, name, {"a": "b"})
