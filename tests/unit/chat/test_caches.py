"""Prompt caches: what two projects ask never begins alike where a provider caches; no key of a caller's leaves."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.caches import Cache, salted
from chat.calling import call_of
from chat.models import Registry
from chat.providers.base import Call, Finish, Text, Usage
from chat.providers.converse import to_converse
from chat.requests import parse
from tests.support.chat_world import World, subject_of, whole

HERE = "smollm2-135m"
HI = {"role": "user", "content": "Hi"}


def asked(cache: Cache, project: str, *, points: bool = False, key: str | None = None, **body: Any) -> Call:
    """The call that a chat of a project becomes, by the service's own way."""
    world = World()
    registry = world.chat._registry
    can = registry.models[HERE].capabilities | ({"cache_points"} if points else set())
    registry.models[HERE] = dataclasses.replace(registry.models[HERE], cache=cache, capabilities=can)
    world.chat._subject_of = lambda _, kind, value: subject_of(project, kind, value)
    world.provider.add((Text("a"), Finish("stop"), Usage(1000, 1, cached_tokens=600, cache_written_tokens=300)))
    whole(world.ask(**body, **({} if key is None else {"prompt_cache_key": key})))
    return world.provider.calls[0]


@pytest.mark.parametrize("key", [None, "canary-key", "x" * 512])
def test_two_projects_never_send_the_same_key_nor_the_callers_own(key: str | None) -> None:
    one, other = (asked("salt", project, key=key) for project in ("project1", "project2"))
    assert one.cache_key != other.cache_key
    assert one.messages != other.messages
    for call in (one, other):
        assert "canary-key" not in f"{call.messages}{call.cache_key}{call.extra}"
    # and one project sends the same one again, and another one for another key of its own
    assert asked("salt", "project1", key=key).messages == one.messages
    assert asked("salt", "project1", key="another").messages != one.messages


def test_off_sends_nothing_of_it() -> None:
    call = asked("off", "project1", key="canary-key")
    assert (call.cache_key, call.messages) == (None, (HI,))


def test_a_key_alone_leaves_the_messages_as_they_are() -> None:
    call = asked("key", "project1")
    assert call.messages == (HI,)
    assert call.cache_key == subject_of("project1", "cache", "")


SALT = "sub_" + "k" * 16 + "abcdefgh23456789"
LATE = {"role": "system", "content": "late"}
LINE = "[abcdefgh23456789]"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HI], [{"role": "system", "content": LINE}, HI]),
        ([{"role": "system", "content": "Be brief."}, HI], [{"role": "system", "content": f"{LINE}\nBe brief."}, HI]),
        (
            [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}],
            [{"role": "developer", "content": [{"type": "text", "text": LINE}, {"type": "text", "text": "Be brief."}]}],
        ),
        (
            [HI, {"role": "system", "content": "late"}],
            [{"role": "system", "content": LINE}, HI, {"role": "system", "content": "late"}],
        ),
    ],
)
def test_the_salt_stands_before_everything(messages: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    given_ = tuple(messages)
    assert salted(given_, SALT) == tuple(expected)
    assert given_ == tuple(messages)  # what is stored is what was sent to us


@given(st.lists(st.sampled_from(["system", "developer", "user", "assistant"]), min_size=1, max_size=5))
def test_at_bedrock_too_it_is_the_first_thing_that_is_read(roles: list[str]) -> None:
    messages = salted(tuple({"role": role, "content": f"text {at}"} for at, role in enumerate(roles)), SALT)
    body = to_converse(Call("m", messages, 5, cache_points=True))
    assert body["system"][0]["text"].startswith(LINE)


def test_cache_points_are_set_where_the_caller_asks_and_never_at_the_tools() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    messages = [{"role": "system", "content": "Be brief."}, HI]
    point = {"cachePoint": {"type": "default"}}
    plain = asked("salt", "project1", points=True, messages=messages, tools=tools)
    assert "cachePoint" not in str(to_converse(plain))
    body = to_converse(asked("salt", "project1", points=True, key="k", messages=messages, tools=tools))
    assert body["system"][-1] == point
    assert body["messages"][-1]["content"] == [{"text": "Hi"}, point]
    assert "cachePoint" not in str(body["toolConfig"])
    # not behind anything but text
    image = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    body = to_converse(Call("m", ({"role": "user", "content": image},), 5, cache_points=True))
    assert "cachePoint" not in str(body)


def test_what_the_cache_gave_is_told_and_settled_at_its_price() -> None:
    world = World()
    world.provider.add((Text("a"), Finish("stop"), Usage(1000, 1, cached_tokens=600, cache_written_tokens=300)))
    done = whole(world.ask())
    assert done["usage"]["prompt_tokens_details"] == {
        "cached_tokens": 600,
        "cache_write_tokens": 300,
        "audio_tokens": 0,
    }
    spent = 10**15 - min(value for name, value in world.item.items() if name.startswith("s_"))
    assert spent == 71  # 400 at 0.10, 600 at 0.05, 1 at 0.20, rounded up


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_every_model_on_offer_says_how_projects_are_kept_apart(stage: str) -> None:
    for model in Registry(stage, openai=True, region="eu-central-1").models.values():
        if "embeddings" in model.capabilities:
            continue
        request = parse(b'{"model": "x", "messages": [{"role": "user", "content": "Hi"}]}')
        one, other = (call_of(request, model, user="u", cache_key=f"sub_{project * 32}") for project in "ab")
        if model.cache == "off":
            assert model.extra == {"cache_prompt": False} or model.id == "bedrock-smollm2-135m"
        else:
            assert one.messages != other.messages or one.cache_key != other.cache_key
        assert model.public()["chatapi"]["prompt_cache"] == model.cache
