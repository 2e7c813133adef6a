"""Conversations: made, filled, listed, continued by responses, shared by data subjects, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem, ConversationItemList

from chat.providers.base import Finish, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from chat.responses.conversations import MOST_PEOPLE
from chatapi.errors import BadRequest, NotFound, RetentionNotPermitted
from tests.support.chat_world import PROJECT, World, events, subject_of, whole
from tests.support.strict import strictly

ALL, ONE = "/v1/conversations", "/v1/conversations/{id}"
ITEMS, ITEM = ONE + "/items", ONE + "/items/{item}"


def text(content: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def made(world: World, **body: Any) -> str:
    return str(whole(world.call("POST", ALL, body))["id"])


def listed(world: World, conversation: str, **query: str) -> list[Any]:
    page = whole(world.call("GET", ITEMS, id=conversation, query={"order": "asc", **query}))
    strictly(ConversationItemList, page)
    return [item["content"][0]["text"] if "content" in item else item["type"] for item in page["data"]]


def respond(world: World, conversation: Any, said: str, **body: Any) -> dict[str, Any]:
    world.provider.add(answer(said))
    world.clock.advance(1)
    return whole(world.respond(conversation=conversation, **body))


def test_a_conversation_lives_as_openais_does() -> None:
    # given
    world = World()
    done = whole(world.call("POST", ALL, {"items": [text("a"), text("b", "assistant")], "metadata": {"k": "v"}}))
    strictly(Conversation, done)
    one = done["id"]
    # then
    assert whole(world.call("GET", ONE, id=one)) == done
    assert listed(world, one) == ["a", "b"]
    changed = whole(world.call("POST", ONE, {"metadata": {"k": "w"}}, id=one))
    assert changed == {**done, "metadata": {"k": "w"}} == whole(world.call("GET", ONE, id=one))
    # and with items of every kind, an item for itself, and without it
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    more = [call, {"type": "function_call_output", "call_id": "c", "output": "5"}]
    world.clock.advance(1)
    added = whole(world.call("POST", ITEMS, {"items": more}, id=one))
    strictly(ConversationItemList, added)
    assert listed(world, one) == ["a", "b", "function_call", "function_call_output"]
    first = added["data"][0]
    assert strictly(ConversationItem, whole(world.call("GET", ITEM, id=one, item=first["id"]))).call_id == "c"
    assert whole(world.call("DELETE", ITEM, id=one, item=first["id"])) == changed
    assert listed(world, one) == ["a", "b", "function_call_output"]
    for wanted in (first["id"], "msg_" + first["id"].partition("_")[2], "x", "msg_" + "0" * 29):
        with pytest.raises(NotFound):
            world.call("GET", ITEM, id=one, item=wanted)
    # and it goes with all that is in it
    strictly(ConversationDeletedResource, whole(world.call("DELETE", ONE, id=one)))
    assert world.rows.rows == {}


def test_an_empty_body_makes_an_empty_conversation() -> None:
    world = World()
    one = str(whole(world.call("POST", ALL))["id"])
    page = whole(world.call("GET", ITEMS, id=one))
    strictly(ConversationItemList, page)
    assert page["data"] == []


def test_pages_go_both_ways_and_begin_with_the_latest() -> None:
    # given
    world = World()
    one = made(world, items=[text(str(n)) for n in range(5)])
    first = whole(world.call("GET", ITEMS, id=one, query={"limit": "2"}))
    # then
    assert [item["content"][0]["text"] for item in first["data"]] == ["4", "3"]
    assert first["has_more"]
    rest = whole(world.call("GET", ITEMS, id=one, query={"limit": "3", "after": first["last_id"]}))
    assert [item["content"][0]["text"] for item in rest["data"]] == ["2", "1", "0"]
    assert not rest["has_more"]
    assert listed(world, one, after=first["last_id"]) == ["4"]


def test_a_response_reads_the_conversation_and_adds_to_it() -> None:
    # given
    world = World()
    one = made(world, items=[text("Count.", "developer")])
    respond(world, one, "one", input="1")
    # when: the reference may be an object as well
    second = respond(world, {"id": one}, "two", input="2")
    # then
    assert [m["content"] for m in world.provider.calls[-1].messages] == ["Count.", "1", "one", "2"]
    assert second["conversation"] == {"id": one}
    assert listed(world, one) == ["Count.", "1", "one", "2", "two"]
    # and the output can be found under its id, while the response itself was not to be stored
    item = second["output"][0]
    assert whole(world.call("GET", ITEM, id=one, item=item["id"])) == item
    with pytest.raises(NotFound):
        world.call("GET", "/v1/responses/{id}", id=second["id"])


def test_store_false_reads_and_adds_nothing() -> None:
    world = World()
    one = made(world, items=[text("a")])
    respond(world, one, "x", input="b", store=False)
    assert listed(world, one) == ["a"]


def test_calls_and_their_outputs_are_kept_in_order() -> None:
    # given
    world = World()
    one = made(world)
    world.provider.add([ToolStart(0, "c1", "f"), ToolArguments(0, "{}"), Finish("tool_calls"), Usage(1, 1)])
    whole(world.respond(conversation=one, tools=[{"type": "function", "name": "f"}]))
    # when
    respond(world, one, "5", input=[{"type": "function_call_output", "call_id": "c1", "output": "5"}])
    # then
    assert listed(world, one) == ["Hi", "function_call", "function_call_output", "5"]
    assert [m["role"] for m in world.provider.calls[-1].messages] == ["user", "assistant", "tool"]


def test_each_item_is_that_persons_who_is_named() -> None:
    # given a conversation of the project's owner, in which two end users speak
    world = World()
    one = made(world, items=[text("rules", "system")])
    respond(world, one, "hello ann", input="I am ann", user="ann")
    respond(world, one, "hello bob", input="I am bob", user="bob")
    assert listed(world, one) == ["rules", "I am ann", "hello ann", "I am bob", "hello bob"]
    ann = subject_of(PROJECT, "user", "ann")
    kinds = {row["kind"] for (pk, _), row in world.rows.rows.items() if pk == f"s#{PROJECT}#{ann}#1"}
    assert kinds == {"item"}
    # when one of them is erased
    world.wraps.freeze(PROJECT, ann, 1, "case")
    world.wraps.destroy(PROJECT, ann, 1, world.clock.now(), "case")
    # then the others' words stay, and the conversation goes on without hers, also when she comes back
    assert listed(world, one) == ["rules", "I am bob", "hello bob"]
    respond(world, one, "welcome", input="ann again", user="ann")
    assert [m["content"] for m in world.provider.calls[-1].messages] == ["rules", "I am bob", "hello bob", "ann again"]
    assert listed(world, one)[-2:] == ["ann again", "welcome"]
    # and deleting takes everybody's
    rows = [row for (pk, _), row in world.rows.rows.items() if row["kind"] == "item" and pk.endswith("#2")]
    assert len(rows) == 2
    whole(world.call("DELETE", ONE, id=one))
    left = [pk for (pk, _), row in world.rows.rows.items() if row["kind"] == "item"]
    assert set(left) <= {f"s#{PROJECT}#{ann}#1"}  # what nobody can read any more is the erasure's to delete


def test_a_conversation_may_be_an_end_users_from_the_start() -> None:
    world = World()
    one = made(world, items=[text("a")], user="ann")
    ann = subject_of(PROJECT, "user", "ann")
    respond(world, one, "b", input="c")
    partitions = {pk for (pk, _), row in world.rows.rows.items() if row["kind"] in ("conversation", "item", "day")}
    assert partitions == {f"s#{PROJECT}#{ann}#1", f"s#{PROJECT}#{ann}#-"}


def test_all_of_it_ends_with_the_conversation() -> None:
    world = World()
    one = made(world)
    world.clock.advance(20 * 86400)
    respond(world, one, "a", input="b")
    ends = {row["ttl"] for row in world.rows.rows.values() if row["kind"] in ("conversation", "item", "locator")}
    assert len(ends) == 1
    world.clock.advance(11 * 86400)
    with pytest.raises(NotFound):
        world.call("GET", ONE, id=one)


def test_a_conversation_that_went_while_the_model_answered_takes_nothing_in() -> None:
    # given
    world = World()
    one = made(world)
    world.provider.add([lambda: whole(world.call("DELETE", ONE, id=one)), *answer("x")])
    # when
    found = events(world.respond(conversation=one, store=True, stream=True))
    # then the caller is told, and neither item nor response is kept
    assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}


def test_unknown_and_foreign_conversations_look_the_same() -> None:
    world = World()
    one = made(world, items=[text("a")])
    faults = set()
    for wanted, project in (("conv_" + "0" * 29, PROJECT), ("resp_x", PROJECT), (one, "project2")):
        for method, resource, body in (
            ("GET", ONE, None),
            ("POST", ONE, {"metadata": {}}),
            ("DELETE", ONE, None),
            ("GET", ITEMS, None),
            ("POST", ITEMS, {"items": [text("x")]}),
            ("GET", ITEM, None),
            ("DELETE", ITEM, None),
        ):
            with pytest.raises(NotFound) as missing:
                world.call(method, resource, body, id=wanted, item="msg_" + "0" * 29, project=project)
            faults.add(missing.value.body())
    assert len(faults) == 1


def test_a_project_without_history_makes_none() -> None:
    world = World(retention="none")
    with pytest.raises(RetentionNotPermitted):
        made(world)


@pytest.mark.parametrize(
    ("resource", "body", "param"),
    [
        (ALL, {"items": [text("x")] * 21}, "items"),
        (ALL, {"items": [{"type": "item_reference", "id": "x"}]}, "items[0]"),
        (ITEMS, {"items": []}, "items"),
        (ITEMS, {}, "items"),
        (ONE, {}, "metadata"),
        (ONE, {"metadata": {"k": 1}}, "metadata"),
    ],
)
def test_what_is_not_an_item_is_refused_by_name(resource: str, body: dict[str, Any], param: str) -> None:
    world = World()
    with pytest.raises(BadRequest) as refused:
        world.call("POST", resource, body, id=made(world))
    assert refused.value.param == param


def test_a_conversation_is_of_so_many_people_and_no_more() -> None:
    world = World()
    one = made(world)  # the owner's, and so of one
    for number in range(1, MOST_PEOPLE):
        whole(world.call("POST", ITEMS, {"items": [text(str(number))], "user": f"user-{number}"}, id=one))
    with pytest.raises(BadRequest) as refused:
        world.call("POST", ITEMS, {"items": [text("one too many")], "user": "user-16"}, id=one)
    assert refused.value.param == "conversation"
    whole(world.call("POST", ITEMS, {"items": [text("again")], "user": "user-15"}, id=one))
    assert len(listed(world, one, limit="100")) == MOST_PEOPLE
