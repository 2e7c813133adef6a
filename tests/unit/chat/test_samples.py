"""Samples for improvement: opt-in, redacted, sealed, for a term; and of nobody who did not allow it (COL-1, USE-3)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from chat.providers.base import Finish, ProviderBroken, ToolArguments, ToolStart, Usage
from chat.providers.scripted import ScriptedProvider, answer
from chat.samples import NotASample, redacted
from chatapi.aws.errors import AwsUnavailable
from tests.support.canary import Canary, as_bytes
from tests.support.chat_world import PROJECT, World, frames, subject_of, whole

ALICE = subject_of(PROJECT, "user", "alice")
DAY = 86_400
MAIL = "alice.liddell@example.com"


@pytest.fixture
def world() -> World:
    """A project that takes part, and a person who allows it."""
    made = World(purposes=("improvement",))
    made.provider.add(*(answer(f"write to {MAIL}") for _ in range(10)))
    choose(made, "granted")
    return made


def choose(world: World, state: str) -> None:
    world.clock.advance(1)
    world.consents.choose(PROJECT, ALICE, "improvement", state, world.clock.now())


def samples(world: World, subject: str = ALICE) -> list[dict[str, Any]]:
    try:
        handle = world.vault.reader(PROJECT, subject, 1)
    except Exception:
        return []
    found, _ = world.records.page(handle, "sample", limit=50)
    return [json.loads(record.body) for record in found]


def rows(world: World) -> list[dict[str, Any]]:
    return [row for row in world.rows.rows.values() if row["kind"] == "sample"]


def test_a_sample_is_redacted_sealed_and_ends(world: World) -> None:
    # given a chat with a canary and an address
    canary = Canary("sample")
    asked = [{"role": "user", "content": f"{canary.text}: my address is {MAIL}", "name": "alice_liddell"}]
    answered = world.ask(user="alice", messages=asked, data_handling={"receipt": True})
    body = whole(answered)
    # then the receipt says that it is kept, in what form and until when
    assert "; purposes=improvement; sample=redacted; sample-until=" in answered.headers["data-handling"]
    assert body["data_handling"]["sample_expires_at"] == int(world.clock.now()) + 30 * DAY
    # and the sample has the text, a placeholder for the address, and the policy's version
    (sample,) = samples(world)
    assert sample["messages"][0]["content"] == f"{canary.text}: my address is <EMAIL_1>"
    assert sample["answers"][0]["content"] == "write to <EMAIL_1>"
    assert sample["policy"] == "2025-08-04"
    assert "liddell" not in json.dumps(sample)
    # and the canary is readable in no store
    for table in (world.rows, world.marked, world.patterned):
        assert not canary.found_in(as_bytes(list(table.rows.values())))
    (row,) = rows(world)
    assert row["ttl"] == int(world.clock.now()) + 30 * DAY


def test_a_stream_is_sampled_when_it_is_whole(world: World) -> None:
    frames(world.ask(user="alice", stream=True))
    (sample,) = samples(world)
    assert sample["answers"][0]["content"] == "write to <EMAIL_1>"
    started = world.ask(user="alice", stream=True)
    getattr(started.body, "close")()  # noqa: B009 - the caller left
    assert len(samples(world)) == 1


def test_under_redaction_a_sample_has_none_of_what_the_request_named(world: World) -> None:
    asked = [{"role": "user", "content": f"I am Jane Doe, {MAIL}"}]
    handling = {"redact": ["email"], "redact_values": ["Jane Doe"]}
    world.provider = ScriptedProvider(answer("Hello <VALUE_1>"))
    assert "Jane Doe" in json.dumps(whole(world.ask(user="alice", messages=asked, data_handling=handling)))
    (sample,) = samples(world)
    assert sample["messages"][0]["content"] == "I am <VALUE_1>, <EMAIL_1>"
    assert sample["answers"][0]["content"] == "Hello <VALUE_1>"


def test_a_chat_that_broke_off_is_no_sample() -> None:
    world = World(purposes=("improvement",))
    choose(world, "granted")
    world.provider.add([*answer("half")[:1], ProviderBroken()])
    frames(world.ask(user="alice", stream=True))
    assert rows(world) == []


@pytest.mark.parametrize("state", ["withdrawn", "never"])
def test_without_consent_nothing_is_kept(world: World, state: str) -> None:
    if state == "withdrawn":
        choose(world, "withdrawn")
    whole(world.ask(user="alice" if state == "withdrawn" else "bob"))
    assert rows(world) == []


def test_a_withdrawal_during_the_stream_counts_and_one_during_the_write_takes_it_back(world: World) -> None:
    answered = world.ask(user="alice", stream=True)
    choose(world, "withdrawn")
    frames(answered)
    assert rows(world) == []
    # when it is withdrawn between the last look and the write
    choose(world, "granted")
    granted = world.consents.granted
    answers = iter([granted, granted])

    def then_withdrawn(*of: Any) -> frozenset[str]:
        look = next(answers, None)
        return look(*of) if look else frozenset()

    world.consents.granted = then_withdrawn  # type: ignore[method-assign]
    whole(world.ask(user="alice"))
    assert rows(world) == []


@pytest.mark.parametrize("handling", [{"retention": "none"}, {"ttl_seconds": 60}], ids=["none of it", "a minute of it"])
def test_a_ceiling_of_the_request_holds_for_samples_too(world: World, handling: dict[str, Any]) -> None:
    answered = world.ask(user="alice", data_handling=handling)
    whole(answered)
    if handling == {"retention": "none"}:
        assert rows(world) == []
        assert "sample" not in answered.headers["data-handling"]
    else:
        assert [row["ttl"] for row in rows(world)] == [int(world.clock.now()) + 60]


def test_a_project_that_keeps_nothing_has_no_samples() -> None:
    world = World(purposes=("improvement",), retention="none")
    choose(world, "granted")
    world.provider.add(answer("a"))
    whole(world.ask(user="alice"))
    assert rows(world) == []


def test_responses_are_no_samples_since_they_bring_stored_content_along(world: World) -> None:
    json.loads(b"".join(world.respond(user="alice").body))
    assert rows(world) == []


def test_where_it_cannot_be_kept_the_chat_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def refuses(*_: Any, **__: Any) -> Any:
        raise AwsUnavailable("Timeout")

    world.records.put = refuses  # type: ignore[method-assign]
    assert whole(world.ask(user="alice"))["choices"]
    assert rows(world) == []
    assert '"event":"sample_failed"' in capsys.readouterr().out


def test_during_an_erasure_nothing_is_kept(world: World) -> None:
    world.vault.writer(PROJECT, ALICE)
    world.wraps.freeze(PROJECT, ALICE, 1, "case")
    assert whole(world.ask(user="alice"))["choices"]
    assert rows(world) == []


def test_a_value_that_the_caller_named_is_in_no_sample(world: World) -> None:
    asked = [{"role": "user", "content": "Project Falcon starts"}]
    handling = {"redact": True, "redact_values": ["Project Falcon"]}
    whole(world.ask(user="alice", messages=asked, data_handling=handling))
    assert "Falcon" not in json.dumps(samples(world))
    assert len(samples(world)) == 1


def test_what_is_more_than_text_is_no_sample() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:,"}}
    chat = {"model": "m", "messages": [{"role": "user", "content": [part]}], "answers": []}
    with pytest.raises(NotASample):
        redacted(chat)


def test_the_receipt_of_a_chat_with_a_picture_promises_no_sample(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    models = world.chat._registry.models
    models["smollm2-135m"] = dataclasses.replace(models["smollm2-135m"], capabilities=frozenset({"images"}))
    answered = world.ask(user="alice", messages=[{"role": "user", "content": parts}])
    whole(answered)
    assert answered.headers["data-handling"].endswith("; purposes=improvement")
    assert rows(world) == []
    assert "sample_failed" not in capsys.readouterr().out


def test_a_call_of_a_custom_tool_keeps_its_input_redacted(world: World) -> None:
    call = (ToolStart(0, "call_a", "mail"), ToolArguments(0, json.dumps({"input": f"to {MAIL}"})))
    world.provider = ScriptedProvider((*call, Finish("tool_calls"), Usage(1, 1)))
    whole(world.ask(user="alice", tools=[{"type": "custom", "custom": {"name": "mail"}}]))
    (sample,) = samples(world)
    assert sample["answers"][0]["calls"] == [{"custom": "mail", "input": "to <EMAIL_1>"}]


def test_a_call_keeps_its_arguments_redacted_and_no_ids() -> None:
    function = {"name": "mail", "arguments": json.dumps({"to": MAIL})}
    call = {"id": f"call-{MAIL}", "type": "function", "function": function}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": MAIL}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    found = redacted({"model": "m", "messages": messages, "answers": []})
    assert MAIL not in json.dumps(found)
    assert found["messages"][0]["content"] == "a\n<EMAIL_1>"
    assert found["messages"][1]["calls"] == [{"function": "mail", "arguments": '{"to": "<EMAIL_1>"}'}]
