"""A person whose processing is restricted (GDPR Art. 18), as the chat function meets them: kept, and not used."""

from __future__ import annotations

from typing import Any

import pytest

from chat.providers.scripted import answer
from chatapi.errors import ProcessingRestricted
from tests.support.chat_world import PROJECT, World, subject_of, whole

ITEMS = "/v1/conversations/{id}/items"


def text(said: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": said}


def restrict(world: World, person: str, case: str | None = "dsr_1") -> None:
    subject = subject_of(PROJECT, "user", person)
    world.wraps.restrict(PROJECT, subject, 1, case)


def listed(world: World, conversation: str) -> list[str]:
    page = whole(world.call("GET", ITEMS, id=conversation, query={"order": "asc"}))
    return [item["content"][0]["text"] for item in page["data"]]


def test_nothing_that_is_stored_goes_before_the_model_and_nothing_new_is_stored() -> None:
    # given a stored response, and then a restriction
    world = World()
    world.provider.add(answer("first"))
    first = whole(world.respond(store=True, user="alice"))
    restrict(world, "alice")
    opened = len(world.provider.calls)
    # then it is not continued, by whom ever, nor read, deleted or followed by another
    for attempt in (
        lambda: world.respond(previous_response_id=first["id"]),
        lambda: world.respond(previous_response_id=first["id"], user="bob"),
        lambda: world.respond(store=True, user="alice"),
        lambda: world.ask(store=True, user="alice"),
        lambda: world.call("GET", "/v1/responses/{id}", id=first["id"]),
        lambda: world.call("DELETE", "/v1/responses/{id}", id=first["id"]),
        lambda: world.call("POST", "/v1/conversations", {"items": [text("a")], "user": "alice"}),
    ):
        with pytest.raises(ProcessingRestricted):
            attempt()
    assert len(world.provider.calls) == opened
    # and what stores nothing goes on, without a look at the Vault
    reads = world.wraps.reads
    world.provider.add(answer("unstored"))
    assert whole(world.ask(user="alice"))["choices"][0]["message"]["content"] == "unstored"
    assert world.wraps.reads == reads
    # and lifted it is as before
    restrict(world, "alice", None)
    assert whole(world.call("GET", "/v1/responses/{id}", id=first["id"])) == first


def test_of_a_conversation_of_several_the_others_items_alone_are_used() -> None:
    world = World()
    conversation = whole(world.call("POST", "/v1/conversations", {"items": [text("bob's")], "user": "bob"}))["id"]
    world.clock.advance(1)
    world.call("POST", ITEMS, {"items": [text("alice's")], "user": "alice"}, id=conversation)
    assert listed(world, conversation) == ["bob's", "alice's"]
    restrict(world, "alice")
    assert listed(world, conversation) == ["bob's"]
    world.provider.add(answer("fine"))
    whole(world.respond(conversation=conversation, user="bob", input="what was said?"))
    assert "alice's" not in repr(world.provider.calls[-1])
    restrict(world, "alice", None)
    assert "alice's" in listed(world, conversation)
