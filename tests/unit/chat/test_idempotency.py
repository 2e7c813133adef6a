"""Idempotency-Key: what is sent twice is generated once; what is not stored is not replayed; no key is ever kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from chat.providers.base import Finish, ProviderBroken, ProviderUnavailable, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from chat.started import Answer
from chatapi.errors import ApiError
from chatapi.store.items import Key
from tests.support import openai_types
from tests.support.chat_world import PROJECT, World, frames, subject_of, whole

KEY = "canary-key"


def refused(world: World, **body: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        world.ask(KEY, **body)
    world.account.settle(0)  # what the handler does on any refusal
    return caught.value


def rows(world: World) -> list[dict[str, Any]]:
    return [row for row in world.rows.rows.values() if row["kind"] == "idempotency"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_stored_chat_is_replayed_and_settled_once(stream: bool) -> None:
    world = World()
    tool = [ToolStart(0, "call_1", "f"), ToolArguments(0, "{}")]
    world.provider.add([Text("Hel"), Text("lo"), *tool, Finish("tool_calls"), Usage(5, 4)])
    asked: dict[str, Any] = {"store": True, "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    first = frames(world.ask(KEY, **asked)) if stream else whole(world.ask(KEY, **asked))
    used, again = world.used(), world.ask(KEY, **asked)
    assert again.headers["idempotency-replayed"] == "true"
    if stream:
        second = frames(again)
        for event in second[:-1]:
            openai_types.chunk(event)
        assert _text(second) == _text(first) == "Hello"
        assert second[-2:] == first[-2:]
        assert second[0]["id"] == first[0]["id"]
    else:
        assert whole(again) == first
    assert (len(world.provider.calls), world.used(), world.slots()) == (1, used, 0)


def _text(events: list[Any]) -> str:
    deltas = [choice["delta"] for event in events[:-1] for choice in event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_what_is_not_stored_is_not_replayed() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    assert whole(world.ask(KEY))["choices"][0]["message"]["content"] == "a"
    assert rows(world) == []
    assert whole(world.ask(KEY))["choices"][0]["message"]["content"] == "b"


def test_a_request_that_is_under_way_locks_the_key() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    first = world.ask(KEY, stream=True)
    error = refused(world, stream=True)
    assert (error.status, error.code) == (409, "idempotency_key_in_use")
    assert error.headers["x-should-retry"] == "true"
    b"".join(first.body)
    assert frames(world.ask(KEY, stream=True))[-1] == "[DONE]"
    assert world.slots() == 0


def test_another_body_is_a_conflict_that_no_client_retries() -> None:
    world = World()
    world.provider.add(answer("a"))
    whole(world.ask(KEY, store=True))
    error = refused(world, store=True, temperature=1)
    assert (error.status, error.code) == (409, "idempotency_key_reused")
    assert error.headers["x-should-retry"] == "false"
    assert (len(world.provider.calls), world.slots()) == (1, 0)


@pytest.mark.parametrize("end", ["refusal", "left", "provider"])
def test_however_a_request_ends_its_key_is_free(end: str) -> None:
    world = World()
    if end == "refusal":
        refused(world, verbosity="low")
    elif end == "provider":
        world.provider.add(ProviderUnavailable())
        refused(world)
    else:
        world.provider.add(answer("a", "b"))
        body = world.ask(KEY, stream=True).body
        next(body)
        body.close()  # type: ignore[attr-defined]
    assert rows(world) == []


def test_a_failed_request_frees_its_key_once_and_not_that_of_who_came_next(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.provider.add((Text("a"), ProviderBroken()), answer("b"))
    delete, others = world.rows.delete_all, list[Answer]()

    def watched(keys: Iterable[Key]) -> None:
        delete(keys)
        if not others:  # at once somebody sends the same again
            others.append(world.ask(KEY, stream=True))

    monkeypatch.setattr(world.idempotent._replays._table, "delete_all", watched)
    refused(world)
    assert len(others) == len(rows(world)) == 1
    b"".join(others[0].body)
    assert rows(world) == []


def test_the_lock_of_a_killed_request_ends_by_itself() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    lost = world.ask(KEY, stream=True)
    world.clock.advance(76)  # the request's minute and the grace
    assert whole(world.ask(KEY, stream=False))["choices"][0]["message"]["content"] == "b"
    del lost


def test_a_replay_lasts_no_longer_than_what_it_replays() -> None:
    world = World()
    world.provider.add(*[answer("a")] * 3)
    whole(world.ask(KEY, store=True, data_handling={"ttl_seconds": 60}))
    (row,) = rows(world)
    assert row["ttl"] == int(world.clock.now()) + 60
    world.clock.advance(61)
    whole(world.ask(KEY, store=True, data_handling={"ttl_seconds": 60}))
    assert len(world.provider.calls) == 2
    whole(world.ask("another", store=True))
    assert max(row["ttl"] for row in rows(world)) == int(world.clock.now()) + 86_400


def test_what_was_deleted_meanwhile_is_not_there() -> None:
    world = World()
    world.provider.add(answer("a"))
    done = whole(world.ask(KEY, store=True))
    world.stored.delete(PROJECT, done["id"])
    assert refused(world, store=True).status == 404


def test_keys_of_two_people_are_apart() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    whole(world.ask(KEY, store=True, user="ann"))
    whole(world.ask(KEY, store=True, user="bob"))
    assert len(world.provider.calls) == 2
    places = {row["pk"] for row in rows(world)}
    assert places == {f"s#{PROJECT}#{subject_of(PROJECT, 'user', who)}#-" for who in ("ann", "bob")}
    assert len({row["sk"] for row in rows(world)}) == 2


def test_neither_key_nor_body_can_be_read_in_the_row() -> None:
    world = World()
    world.provider.add(answer("a"))
    whole(world.ask(KEY, store=True, messages=[{"role": "user", "content": "canary-body"}]))
    assert "canary" not in repr(rows(world))


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\u00fc"])
def test_what_is_no_key_is_refused(key: str) -> None:
    world = World()
    with pytest.raises(ApiError) as caught:
        world.ask(key)
    assert (caught.value.status, caught.value.code) == (400, "invalid_idempotency_key")
    assert rows(world) == []
