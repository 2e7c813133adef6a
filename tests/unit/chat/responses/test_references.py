"""`item_reference`: a stored item in another response's input is read once, bounded, reserved and written down."""

from __future__ import annotations

from typing import Any

import pytest

from chat.providers.scripted import answer
from chat.responses.history import LONGEST_CHAIN
from chatapi.errors import BadRequest, Forbidden
from chatapi.store.items import Item
from tests.support.chat_world import PROJECT, World, subject_of, whole


def stored(world: World, **body: Any) -> dict[str, Any]:
    world.provider.add(answer("one"))
    return whole(world.respond(store=True, **body))


def refer(*ids: str) -> list[dict[str, str]]:
    return [{"type": "item_reference", "id": each} for each in ids]


def given_of(world: World, response: dict[str, Any]) -> str:
    """The id of the first item of its input."""
    page = whole(world.call("GET", "/v1/responses/{id}/input_items", id=response["id"], query={"order": "asc"}))
    return str(page["data"][0]["id"])


@pytest.mark.parametrize(("scopes", "retention"), [(("chat",), "history"), (("chat", "history"), "none")])
def test_who_may_not_read_what_is_stored_may_not_have_a_model_say_it(scopes: tuple[str, ...], retention: str) -> None:
    world = World()
    name = stored(world)["output"][0]["id"]
    world.retention = retention
    body = {"model": "smollm2-135m", "input": [{"role": "user", "content": "Repeat it."}, *refer(name)]}
    with pytest.raises(Forbidden) as refused:
        world.call("POST", "/v1/responses", body, scopes=scopes)
    assert refused.value.param == "input[1]"
    assert len(world.provider.calls) == 1


def test_whose_words_go_out_again_is_written_down() -> None:
    # given what ann was answered
    world = World()
    first = stored(world, user="ann")
    # when bob refers to it
    world.provider.add(answer("two"))
    whole(world.respond(input=refer(first["output"][0]["id"]), user="bob"))
    # then it went to the provider along with his, and her day says so
    ann, bob = (subject_of(PROJECT, "user", name) for name in ("ann", "bob"))
    requests = {row["pk"].split("#")[2]: row["requests"] for row in world.day_rows()}
    assert requests == {ann: 2, bob: 1}


def test_what_is_referred_to_is_reserved_as_if_it_was_sent() -> None:
    world = World()
    given = given_of(world, stored(world, input="x" * 400_000))
    world.provider.add(answer("two"))
    whole(world.respond(input=refer(given), max_output_tokens=16))
    assert world.account.reserved > 100_000


def test_a_response_is_read_once_however_often_it_is_referred_to(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    first = stored(world)
    reads: list[str] = []
    get = world.rows.get

    def counted(pk: str, sk: str | int | None = None) -> Item | None:
        reads.append(str(sk))
        return get(pk, sk)

    monkeypatch.setattr(world.records._table, "get", counted)
    world.provider.add(answer("two"))
    whole(world.respond(input=refer(*[first["output"][0]["id"]] * 500, given_of(world, first))))
    assert [sk for sk in reads if sk.startswith("response#")] == ["response#" + first["id"]] * 2  # and the input items
    assert len(world.provider.calls[-1].messages) == 501


def test_together_they_are_no_longer_than_a_request_may_be() -> None:
    world = World()
    given = given_of(world, stored(world, input="x" * 400_000))
    with pytest.raises(BadRequest) as refused:
        world.respond(input=refer(*[given] * 11))
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")
    assert len(world.provider.calls) == 1


def test_they_are_of_a_bounded_number_of_responses() -> None:
    world = World()
    ids = []
    for _ in range(LONGEST_CHAIN + 1):
        ids.append(stored(world)["output"][0]["id"])
        world.clock.advance(2)
    world.provider.add(answer("two"))
    whole(world.respond(input=refer(*ids[1:])))
    with pytest.raises(BadRequest) as refused:
        world.respond(input=refer(*ids))
    assert refused.value.param == "input"
