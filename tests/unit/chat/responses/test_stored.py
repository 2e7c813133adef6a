"""Stored responses: retrieved, replayed, continued, deleted; and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_item_list import ResponseItemList

from chat.providers.base import Finish, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import answer
from chatapi.errors import BadRequest, NotFound, SubjectErased
from tests.support.chat_world import PROJECT, World, events, subject_of, whole
from tests.support.strict import strictly

ONE, ITEMS = "/v1/responses/{id}", "/v1/responses/{id}/input_items"


def stored(world: World, *pieces: str, **body: Any) -> dict[str, Any]:
    world.provider.add(answer(*(pieces or ("Hello",))))
    world.clock.advance(1)
    return whole(world.respond(store=True, **body))


def get(world: World, resource: str, name: str, **more: Any) -> dict[str, Any]:
    return whole(world.call("GET", resource, id=name, **more))


def said(world: World) -> list[Any]:
    return [message["content"] for message in world.provider.calls[-1].messages]


def test_what_was_answered_is_what_is_kept() -> None:
    # given
    world = World()
    made = world.provider.add(answer("Hel", "lo")) or world.respond(
        store=True, input=[{"role": "user", "content": "A"}]
    )
    response = whole(made)
    # then
    assert made.headers["data-handling"].startswith("retained=content; until=")
    assert strictly(Response, get(world, ONE, response["id"])) == strictly(Response, response)
    assert (
        world.call("GET", ONE, id=response["id"])
        .headers["data-handling"]
        .startswith("retained=content; processor=none")
    )
    page = get(world, ITEMS, response["id"])
    strictly(ResponseItemList, page)
    assert [item["content"][0]["text"] for item in page["data"]] == ["A"]
    assert (page["first_id"], page["has_more"]) == (page["data"][0]["id"], False)


def test_a_streamed_response_is_kept_as_its_last_event_has_it() -> None:
    world = World()
    world.provider.add(answer("Hel", "lo"))
    last = events(world.respond(store=True, stream=True))[-1]["response"]
    assert get(world, ONE, last["id"]) == last


def test_a_stored_response_is_streamed_again_from_where_the_caller_wants() -> None:
    # given
    world = World()
    calls = [ToolStart(0, "a", "f"), ToolArguments(0, "{}")]
    world.provider.add([Text("He"), Text("y"), *calls, Finish("length"), Usage(3, 2)])
    response = whole(world.respond(store=True, tools=[{"type": "function", "name": "f"}]))
    # when
    found = events(world.call("GET", ONE, id=response["id"], query={"stream": "true"}))
    rest = events(world.call("GET", ONE, id=response["id"], query={"stream": "true", "starting_after": "4"}))
    # then
    for event in found:
        strictly(ResponseStreamEvent, event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1] == {**found[-1], "type": "response.incomplete", "response": response}
    assert rest == found[5:]
    with pytest.raises(BadRequest):
        world.call("GET", ONE, id=response["id"], query={"stream": "true", "starting_after": "x"})


def test_a_response_is_continued_without_its_instructions() -> None:
    # given
    world = World()
    first = stored(world, "one", input="1", instructions="Count.")
    second = stored(world, "two", input="2", previous_response_id=first["id"])
    # when
    third = stored(world, "three", input="3", previous_response_id=second["id"], instructions="Go on.")
    # then the whole chain is there, oldest first, and of instructions this request's alone
    assert said(world) == ["Go on.", "1", "one", "2", "two", "3"]
    assert third["previous_response_id"] == second["id"]
    # and each holds its own input only
    assert len(get(world, ITEMS, third["id"])["data"]) == 1
    # and where a link is gone the chain is, not a shorter one
    whole(world.call("DELETE", ONE, id=first["id"]))
    with pytest.raises(NotFound) as missing:
        world.respond(previous_response_id=third["id"])
    assert missing.value.param == "previous_response_id"


def test_a_response_that_builds_on_one_is_not_stored_unasked() -> None:
    world = World()
    first = stored(world)
    before = set(world.rows.rows)
    world.provider.add(answer("x"))
    second = whole(world.respond(previous_response_id=first["id"]))
    assert {key for key in world.rows.rows if key not in before} == set()
    with pytest.raises(NotFound):
        get(world, ONE, second["id"])


def test_an_item_is_referred_to_by_its_id() -> None:
    # given
    world = World()
    first = stored(world, "one", input="1")
    # when
    given = get(world, ITEMS, first["id"])["data"][0]["id"]
    refers = [{"id": given}, {"type": "item_reference", "id": first["output"][0]["id"]}]
    stored(world, input=[*refers, {"role": "user", "content": "2"}])
    # then
    assert said(world) == ["1", "one", "2"]
    with pytest.raises(NotFound) as missing:
        world.respond(input=[{"role": "user", "content": "x"}, {"id": "msg_" + "0" * 29}])
    assert missing.value.param == "input[1]"


def test_who_is_named_by_nobody_is_the_person_of_the_response_before() -> None:
    # given a chain whose first response names an end user
    world = World()
    first = stored(world, user="ann")
    second = stored(world, previous_response_id=first["id"])
    third = stored(world, previous_response_id=second["id"], user="bob")
    # then the second is hers too, and that her words went out again with bob's is written down
    ann, bob = (subject_of(PROJECT, "user", name) for name in ("ann", "bob"))
    assert world.records.find(PROJECT, "response", second["id"])[0].subject == ann
    assert world.records.find(PROJECT, "response", third["id"])[0].subject == bob
    requests = {row["pk"].split("#")[2]: row["requests"] for row in world.day_rows()}
    assert requests == {ann: 3, bob: 1}


def test_deleted_is_gone_and_said_as_openai_says_it() -> None:
    world = World()
    response = stored(world)
    done = whole(world.call("DELETE", ONE, id=response["id"]))
    assert done == {"id": response["id"], "object": "response.deleted", "deleted": True}
    for method, resource in (("GET", ONE), ("DELETE", ONE), ("GET", ITEMS), ("POST", ONE + "/cancel")):
        with pytest.raises(NotFound):
            world.call(method, resource, id=response["id"])
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}


def test_only_what_runs_in_the_background_could_be_cancelled() -> None:
    world = World()
    response = stored(world)
    with pytest.raises(BadRequest) as refused:
        world.call("POST", ONE + "/cancel", id=response["id"])
    assert refused.value.code == "response_not_cancellable"


@pytest.mark.parametrize(
    "name", ["resp_", "resp_" + "0" * 29, "conv_" + "0" * 29, "../x", "resp_" + "é" * 29, "x" * 500]
)
def test_unknown_and_foreign_ids_look_the_same(name: str) -> None:
    # given
    world = World()
    response = stored(world)
    faults = []
    # when
    for wanted, project in ((name, PROJECT), (response["id"], "project2")):
        for method, resource in (("GET", ONE), ("DELETE", ONE), ("GET", ITEMS), ("POST", ONE + "/cancel")):
            with pytest.raises(NotFound) as missing:
                world.call(method, resource, id=wanted, project=project)
            faults.append(missing.value.body())
    # then
    assert len(set(faults)) == 1
    assert get(world, ONE, response["id"]) == response


def test_an_erased_persons_response_is_gone_and_so_is_what_builds_on_it() -> None:
    # given
    world = World()
    response = stored(world, user="ann")
    ann = subject_of(PROJECT, "user", "ann")
    world.wraps.freeze(PROJECT, ann, 1, "case")
    world.wraps.destroy(PROJECT, ann, 1, world.clock.now(), "case")
    # then
    with pytest.raises(SubjectErased):
        get(world, ONE, response["id"])
    with pytest.raises(SubjectErased):
        world.respond(previous_response_id=response["id"])


def test_nothing_is_kept_where_the_store_fails() -> None:
    # given an erasure that begins while the model answers
    world = World()
    owner = subject_of(PROJECT, "owner", PROJECT)
    world.provider.add([lambda: world.wraps.freeze(PROJECT, owner, 1, "case"), *answer("x")])
    # when
    found = events(world.respond(store=True, stream=True))
    # then
    assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}
