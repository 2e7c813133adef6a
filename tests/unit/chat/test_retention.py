"""Ceilings of project, key and request: the tightest wins, and the receipt says what came of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers.scripted import answer
from chatapi import retention
from chatapi.clock import iso
from chatapi.errors import ApiError
from tests.support import openai_types
from tests.support.chat_world import World, frames, whole

DAY = 86_400
CEILINGS = st.sampled_from(["none", "history", "history:1", "history:7", "history:3650"])


def kept_for(world: World) -> set[float]:
    return {row["ttl"] - int(world.clock.now()) for row in world.rows.rows.values() if row["kind"] != "day"}


@pytest.mark.parametrize(
    ("project", "asked", "seconds"),
    [
        ("history", {}, 30 * DAY),
        ("history:7", {}, 7 * DAY),
        ("history:365", {}, 30 * DAY),
        ("history", {"ttl_seconds": 60}, 60),
        ("history:7", {"ttl_seconds": 3 * DAY, "retention": "history"}, 3 * DAY),
        ("history:1", {"ttl_seconds": 3 * DAY}, DAY),
    ],
)
def test_the_tightest_ceiling_is_the_term(project: str, asked: dict[str, Any], seconds: int) -> None:
    world = World(retention=project)
    world.provider.add(answer("a"))
    done = world.ask(store=True, data_handling={**asked, "receipt": True})
    body = whole(done)
    openai_types.chat_completion(body)
    expires = int(world.clock.now()) + seconds
    assert kept_for(world) == {seconds}
    assert done.headers["data-handling"].startswith(f"retained=content; until={iso(expires)};")
    assert body["data_handling"] == {
        "retained": "content",
        "expires_at": expires,
        "processor": "local-model",
        "region": "local",
        "training": False,
    }


@pytest.mark.parametrize(
    ("project", "asked"),
    [("none", {}), ("none", {"retention": "history"}), ("history", {"retention": "none"}), ("nonsense", {})],
)
def test_what_nobody_may_keep_is_refused_before_anything_is_sent(project: str, asked: dict[str, Any]) -> None:
    world = World(retention=project)
    with pytest.raises(ApiError) as caught:
        world.ask(store=True, data_handling=asked)
    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "retention_not_permitted", "store")
    assert world.provider.calls == []


def test_a_stream_tells_its_receipt_in_its_first_event() -> None:
    world = World()
    world.provider.add(answer("a"))
    events = frames(world.ask(stream=True, data_handling={"retention": "none", "receipt": True}))
    openai_types.chunk(events[0])
    assert events[0]["data_handling"]["retained"] == "none"
    assert all("data_handling" not in event for event in events[1:])


def test_without_asking_there_is_no_field_of_ours() -> None:
    world = World()
    world.provider.add(answer("a"))
    assert "data_handling" not in whole(world.ask())


@given(st.lists(CEILINGS, min_size=1))
def test_the_order_of_ceilings_does_not_matter(words: list[str]) -> None:
    found = retention.tightest(*words)
    assert found == retention.tightest(*reversed(words))
    assert found in words
    limits = [retention.seconds(word) for word in words]
    assert retention.seconds(found) == retention.tighter(*limits)


@given(st.text() | st.from_regex(r"history:[0-9]{1,5}", fullmatch=True))
def test_what_is_no_ceiling_keeps_nothing(word: str) -> None:
    limit = retention.seconds(word)
    assert limit is None if word == "history" else limit is not None and 0 <= limit <= 3650 * DAY
    assert json.dumps(limit)
    if limit:
        assert word == f"history:{limit // DAY}"
