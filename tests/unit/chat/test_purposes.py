"""Choices are obeyed by the next request of a warm function, and where they cannot be read nothing is done (RGT-7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.providers.scripted import answer
from chat.purposes import Chosen
from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import read_policy
from chatapi.store.items import Item
from tests.support.canary import Canary, as_bytes
from tests.support.chat_world import PROJECT, World, frames, subject_of, whole

ALICE, BOB = (subject_of(PROJECT, "user", name) for name in ("alice", "bob"))


@pytest.fixture
def world() -> World:
    """A project in which somebody allowed analytics."""
    made = World(purposes=("analytics",))
    made.provider.add(*(answer("four words of text") for _ in range(20)))
    return made


def choose(world: World, state: str, purpose: str = "analytics", subject: str = ALICE) -> None:
    world.clock.advance(1)
    world.consents.choose(PROJECT, subject, purpose, state, world.clock.now())


def patterns(world: World) -> list[Item]:
    return [row for row in world.patterned.rows.values() if row["kind"] == "pattern"]


def requests(world: World) -> int:
    return sum(row["n_requests"] for row in patterns(world))


def test_a_flag_that_is_flipped_is_obeyed_by_the_next_request(world: World) -> None:
    # given a person who was asked nothing
    assert "; purposes=none" in world.ask(user="alice").headers["data-handling"]
    assert patterns(world) == []
    # when she agrees, her next request is counted, and another's is not
    choose(world, "granted")
    answered = world.ask(user="alice")
    whole(answered)
    assert answered.headers["data-handling"].endswith("; purposes=analytics")
    whole(world.ask(user="bob"))
    assert requests(world) == 1
    # and when she withdraws, the next one is not, in the very same function
    choose(world, "withdrawn")
    whole(world.ask(user="alice"))
    assert requests(world) == 1
    # and again
    choose(world, "granted")
    whole(world.ask(user="alice"))
    assert requests(world) == 2


def test_a_withdrawal_during_a_stream_counts(world: World) -> None:
    choose(world, "granted")
    answered = world.ask(user="alice", stream=True)
    assert answered.headers["data-handling"].endswith("; purposes=analytics")
    choose(world, "withdrawn")
    frames(answered)
    assert patterns(world) == []


def test_without_a_flag_nobody_asks_and_nothing_is_said() -> None:
    world = World()
    world.provider.add(answer("a"), answer("b"))
    choose(world, "granted")
    world.consents.all = _refuses  # type: ignore[method-assign]
    answered = world.ask(user="alice", data_handling={"receipt": True})
    assert "purposes" not in whole(answered)["data_handling"]
    assert "purposes" not in answered.headers["data-handling"]
    assert patterns(world) == []


def _refuses(*_: Any, **__: Any) -> Any:
    raise AwsUnavailable("Timeout")


@pytest.mark.parametrize("when", ["before", "after"])
def test_choices_that_cannot_be_read_allow_nothing_and_the_chat_goes_on(
    world: World, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(world, "granted")
    if when == "before":
        world.consents.all = _refuses  # type: ignore[method-assign]
    answered = world.ask(user="alice", data_handling={"receipt": True}, stream=True)
    world.consents.all = _refuses  # type: ignore[method-assign]
    events = frames(answered)
    assert events[-1] == "[DONE]"
    assert patterns(world) == []
    assert '"event":"choices_unreadable"' in capsys.readouterr().out
    if when == "before":
        assert answered.headers["data-handling"].endswith("; purposes=none; choices=unreadable")
        assert events[0]["data_handling"]["choices_readable"] is False


def test_a_pattern_that_cannot_be_written_does_not_spoil_the_answer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(world, "granted")
    world.patterned.update = _refuses  # type: ignore[method-assign]
    assert whole(world.ask(user="alice"))["choices"]
    assert '"event":"pattern_failed"' in capsys.readouterr().out


def test_an_objection_under_the_persons_other_name_counts(world: World) -> None:
    choose(world, "granted", subject=ALICE)
    whole(world.ask(user="bob", safety_identifier="alice"))
    assert requests(world) == 1
    choose(world, "withdrawn", subject=BOB)
    assert world.ask(user="bob", safety_identifier="alice").headers["data-handling"].endswith("; purposes=none")
    assert requests(world) == 1
    # consent under the other name alone is none
    choose(world, "withdrawn", subject=ALICE)
    choose(world, "granted", subject=BOB)
    whole(world.ask(user="bob", safety_identifier="alice"))
    assert requests(world) == 1


def test_one_purpose_is_no_other(world: World) -> None:
    choose(world, "granted", "marketing")
    choose(world, "granted", "improvement")
    answered = world.ask(user="alice")
    whole(answered)
    assert answered.headers["data-handling"].endswith("; purposes=none")
    assert patterns(world) == []


def test_a_wider_purpose_needs_consent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # given consent under the policy of today, and a policy that is posted later and changes something else
    choose(world, "granted")
    versions = read_policy("versions")
    wider = {**versions["versions"], "2027-01-01": {"widens": ["improvement"]}}
    monkeypatch.setitem(versions, "versions", wider)
    monkeypatch.setitem(versions, "current", "2027-01-01")
    whole(world.ask(user="alice"))
    assert requests(world) == 1
    # when a policy widens this purpose, the old consent does not reach it, and a new one does
    monkeypatch.setitem(versions, "versions", {**wider, "2028-01-01": {"widens": ["analytics"]}})
    monkeypatch.setitem(versions, "current", "2028-01-01")
    whole(world.ask(user="alice"))
    assert requests(world) == 1
    choose(world, "granted")
    whole(world.ask(user="alice"))
    assert requests(world) == 2


def test_what_is_counted_names_nobody_and_holds_no_content(world: World) -> None:
    canary = Canary("pattern")
    subject = subject_of(PROJECT, "user", canary.text)
    choose(world, "granted", subject=subject)
    whole(world.ask(user=canary.text, messages=[{"role": "user", "content": canary.text}]))
    everything = as_bytes(list(world.patterned.rows.values()))
    assert requests(world) == 1
    assert not canary.found_in(everything)
    assert subject.encode() not in everything
    assert PROJECT.encode() not in everything


def test_responses_obey_as_chats_do(world: World) -> None:
    choose(world, "granted", subject=ALICE)
    json.loads(b"".join(world.respond(user="alice").body))
    assert requests(world) == 1
    choose(world, "withdrawn", subject=ALICE)
    json.loads(b"".join(world.respond(user="alice").body))
    assert requests(world) == 1


def test_a_receipt_says_in_words_what_was_found() -> None:
    assert Chosen().header() == "; purposes=none"
    assert Chosen(("analytics", "improvement")).header() == "; purposes=analytics,improvement"
    assert Chosen(readable=False).body() == {"purposes": [], "choices_readable": False}
