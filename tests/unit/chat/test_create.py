"""Creating a completion: what the caller sees, what is settled, what is stored."""

from __future__ import annotations

from typing import Any

import pytest

from chat.providers.base import (
    Finish,
    ProviderBroken,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chatapi.aws.errors import AwsUnavailable
from chatapi.clock import iso
from chatapi.errors import ApiError
from tests.support.chat_world import PROJECT, World, frames, subject_of, whole

HELLO = [Text("Hel"), Text("lo"), Finish("stop"), Usage(5, 2)]


def test_a_stream_has_openais_order_and_ends_with_usage_and_done() -> None:
    # given a provider that says hello, when a stream with usage is asked for
    world = World()
    world.provider.add(HELLO)
    events = frames(world.ask(stream=True, stream_options={"include_usage": True}))
    # then: the role once, content, an empty delta with the reason, usage with no choices, [DONE]
    deltas = [event["choices"][0]["delta"] for event in events[:4]]
    assert [d.get("content") for d in deltas] == ["", "Hel", "lo", None]
    assert [("role" in d) for d in deltas] == [True, False, False, False]
    assert events[3]["choices"][0]["finish_reason"] == "stop"
    assert events[4]["choices"] == []
    assert events[4]["usage"]["total_tokens"] == 7
    assert all(event["usage"] is None for event in events[:4])
    assert events[5] == "[DONE]"
    assert len({(e["id"], e["created"], e["model"]) for e in events[:5]}) == 1


def test_a_buffered_answer_is_one_completion() -> None:
    world = World()
    world.provider.add(HELLO)
    answer = world.ask()
    done = whole(answer)
    assert done["object"] == "chat.completion"
    assert done["choices"][0]["message"]["content"] == "Hello"
    assert done["usage"]["prompt_tokens"] == 5
    assert answer.headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"


def test_tool_calls_are_sent_once_and_joined_in_the_buffered_answer() -> None:
    script = [
        ToolStart(0, "call_1", "f"),
        ToolArguments(0, '{"a"'),
        ToolArguments(0, ":1}"),
        Finish("tool_calls"),
        Usage(1, 3),
    ]
    world = World()
    world.provider.add(script, script)
    events = frames(world.ask(stream=True))
    calls = [c for e in events[1:-2] for c in e["choices"][0]["delta"]["tool_calls"]]
    assert calls[0] == {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert all("id" not in call and "type" not in call for call in calls[1:])
    message = whole(world.ask())["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_are_settled_to_what_was_used_and_the_slot_is_free(stream: bool) -> None:
    world = World()
    world.provider.add(HELLO)
    b"".join(world.ask(stream=stream).body)
    assert (world.used(), world.slots()) == (7, 0)


def test_a_failure_before_the_first_token_is_a_status_and_costs_nothing() -> None:
    world = World()
    world.provider.add(ProviderUnavailable(), ProviderRejected(Rejection.CONTEXT_LENGTH))
    for status, code in ((503, "service_unavailable"), (400, "context_length_exceeded")):
        with pytest.raises(ApiError) as caught:
            world.ask(stream=True)
        world.account.settle(0)  # what the handler does on any refusal
        assert (caught.value.status, caught.value.code) == (status, code)
    assert (world.used(), world.slots()) == (0, 0)
    # and the disclosure is recorded: the provider may have read what it refused
    assert [(row["requests"], row["tokens_out"]) for row in world.day_rows()] == [(2, 0)]


def test_a_failure_in_mid_stream_is_an_error_event_and_what_was_used_is_settled() -> None:
    world = World()
    world.provider.add([Text("a"), Text("b"), ProviderBroken()])
    events = frames(world.ask(stream=True))
    assert events[-1]["error"]["code"] == "service_unavailable"
    assert "[DONE]" not in events
    assert world.slots() == 0
    assert 2 < world.used() < 60  # two pieces and the estimate of the prompt
    assert world.day_rows()[0]["tokens_out"] == 2


def test_a_buffered_failure_in_mid_stream_is_a_503_and_settled() -> None:
    world = World()
    world.provider.add([Text("a"), ProviderBroken()])
    with pytest.raises(ApiError) as caught:
        b"".join(world.ask().body)
    assert caught.value.status == 503
    assert world.slots() == 0


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_broken_connection_stops_the_upstream_and_settles(read: int) -> None:
    # given a stream of which `read` chunks were written, when writing fails and the runtime closes the body
    world = World()
    world.provider.add([Text("a"), Text("b"), Text("c"), *HELLO])
    body = world.ask(stream=True).body
    for _ in range(read):
        next(body)
    body.close()  # type: ignore[attr-defined]
    # then the upstream is closed, the slot free, and one disclosure written
    assert world.provider.streams[0].closed
    assert world.slots() == 0
    assert len(world.day_rows()) == 1


def test_nothing_is_stored_unless_asked() -> None:
    world = World()
    world.provider.add(HELLO)
    done = whole(world.ask())
    with pytest.raises(ApiError) as caught:
        world.stored.retrieve(PROJECT, done["id"])
    assert caught.value.status == 404
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}
    assert world.wraps.reads == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_stored_chat_is_retrieved_by_its_project_alone(stream: bool) -> None:
    world = World()
    world.provider.add(HELLO)
    answer = world.ask(stream=stream, store=True, user="end-user-7", metadata={"topic": "x"})
    done = frames(answer)[0] if stream else whole(answer)
    assert answer.headers["data-handling"].startswith("retained=content; until=")
    kept = world.stored.retrieve(PROJECT, done["id"])
    assert kept["choices"][0]["message"]["content"] == "Hello"
    assert kept["metadata"] == {"topic": "x"}
    messages = world.stored.messages(PROJECT, done["id"], {})
    nothing = {"name": None, "refusal": None, "annotations": [], "content_parts": None}
    assert messages["data"][0] == {"role": "user", "content": "Hi", "id": done["id"] + "-0", **nothing}
    with pytest.raises(ApiError) as caught:
        world.stored.retrieve("project2", done["id"])
    assert caught.value.status == 404


def test_storing_is_refused_where_the_project_does_not_permit_it() -> None:
    world = World(retention="none")
    with pytest.raises(ApiError) as caught:
        world.ask(store=True)
    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "retention_not_permitted", "store")
    assert world.provider.calls == []


def test_a_chat_that_ends_during_an_erasure_leaves_nothing_and_says_so() -> None:
    # given a chat to be stored, when the subject is frozen between its tokens and its end
    world, subject = World(), subject_of(PROJECT, "user", "u")
    world.provider.add(
        [Text("a"), lambda: world.wraps.freeze(PROJECT, subject, 1, "dsr_1"), Finish("stop"), Usage(1, 1)]
    )
    events = frames(world.ask(stream=True, store=True, user="u"))
    # then the stream ends in an error and no row of content is left
    assert events[-1]["error"]["code"] == "store_failed"
    assert not [row for row in world.rows.rows.values() if row["kind"] in ("completion", "locator")]
    assert world.slots() == 0


def test_one_day_row_for_a_subject_recipient_and_day() -> None:
    world = World()
    world.provider.add(*[HELLO] * 3)
    for _ in range(2):
        whole(world.ask(user="u"))
    assert [(row["requests"], row["tokens_in"]) for row in world.day_rows()] == [(2, 10)]
    world.clock.advance(86400)
    whole(world.ask(user="u"))
    assert len(world.day_rows()) == 2


def test_two_names_of_one_person_are_remembered_as_one() -> None:
    world = World()
    world.provider.add(HELLO)
    whole(world.ask(user="u", safety_identifier="s"))
    alias, primary = (subject_of(PROJECT, "user", name) for name in ("u", "s"))
    assert (f"s#{PROJECT}#{alias}#-", f"alias#{primary}") in world.rows.rows


def test_the_provider_gets_a_pseudonym_and_the_callers_cap() -> None:
    world = World()
    world.provider.add(HELLO)
    whole(world.ask(user="alice@example.org", max_completion_tokens=17, stop="x", temperature=0))
    call = world.provider.calls[0]
    assert (call.user, call.max_tokens, call.stop) == (subject_of(PROJECT, "user", "alice@example.org"), 17, ("x",))


def test_a_larger_cap_is_topped_up_and_refused_where_there_is_no_room() -> None:
    world = World()
    world.provider.add(HELLO, HELLO)
    answer = world.ask(max_tokens=8000, stream=True)
    assert world.used() >= 8000
    frames(answer)
    assert world.used() == 7
    world.item.update({name: 2500 for name in world.item if name.startswith("t0_")})
    with pytest.raises(ApiError) as caught:
        world.ask(max_tokens=8000)
    assert caught.value.status == 429


def test_an_answer_longer_than_the_model_is_refused_by_its_name() -> None:
    with pytest.raises(ApiError) as caught:
        World().ask(max_completion_tokens=10**6)
    assert (caught.value.status, caught.value.param) == (400, "max_completion_tokens")


def test_an_expired_agreement_stops_the_call() -> None:
    # given a day after the agreement's end (SHR-3), then nothing is sent
    world = World()
    world.clock.advance(2_400_000_000)
    with pytest.raises(ApiError) as caught:
        world.ask()
    assert caught.value.code == "processor_unavailable"
    assert world.provider.calls == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_store_that_fails_after_the_last_token_is_told_and_keeps_nothing(stream: bool) -> None:
    # given a chat to be stored, when the store takes one row and then does not answer
    world = World()
    world.provider.add([*HELLO[:2], lambda: setattr(world.rows, "put_all", half), *HELLO[2:]])

    def half(items: Any) -> None:
        world.rows.put(items[0])
        raise AwsUnavailable("UnprocessedItems")

    # then the caller sees an error, nothing is left behind, and the tokens are settled
    if stream:
        events = frames(world.ask(stream=True, store=True))
        assert events[-1]["error"]["code"] == "store_failed"
    else:
        with pytest.raises(ApiError) as caught:
            world.ask(store=True)
        assert (caught.value.status, caught.value.code) == (503, "store_failed")
        assert caught.value.headers["x-should-retry"] == "false"
    assert {row["kind"] for row in world.rows.rows.values()} == {"day"}
    assert (world.used(), world.slots()) == (7, 0)


def test_an_event_that_makes_no_sense_ends_the_stream_in_an_error() -> None:
    world = World()
    world.provider.add([Text("a"), ToolArguments(3, "x"), Finish("stop")])
    events = frames(world.ask(stream=True))
    assert events[-1]["error"]["code"] == "internal_error"
    assert world.slots() == 0


def test_an_upstream_that_cannot_be_hung_up_costs_no_slot() -> None:
    world = World()
    world.provider.add(HELLO)
    body = world.ask(stream=True).body

    def stuck() -> None:
        raise ValueError

    world.provider.streams[0].close = stuck  # type: ignore[method-assign]
    b"".join(body)
    assert (world.used(), world.slots(), len(world.day_rows())) == (7, 0, 1)


@pytest.mark.parametrize("figures", [(-(10**6), 2), (5, -(10**6)), (10**40, 2)])
def test_figures_of_an_upstream_can_neither_give_tokens_back_nor_stop_the_settling(figures: tuple[int, int]) -> None:
    world = World()
    world.provider.add([*HELLO[:3], Usage(*figures)])
    whole(world.ask())
    assert world.used() > 0
    assert (world.slots(), len(world.day_rows())) == (0, 1)


def test_what_is_kept_ends_when_the_receipt_says() -> None:
    # given a chat that takes ten minutes
    world = World()
    world.provider.add([Text("a"), lambda: world.clock.advance(600), Finish("stop"), Usage(1, 1)])
    answer = world.ask(stream=True, store=True)
    frames(answer)
    ends = {iso(row["ttl"]) for row in world.rows.rows.values() if row["kind"] in ("completion", "locator")}
    assert [f"until={end};" in answer.headers["data-handling"] for end in ends] == [True]


@pytest.mark.parametrize(
    ("limits", "code"), [({"tpm": 5000}, "rate_limit_exceeded"), ({"tpmo": 5000}, "insufficient_quota")]
)
def test_a_cap_that_can_never_be_covered_is_told_not_to_retry(limits: dict[str, int], code: str) -> None:
    world = World()
    world.item.update(limits)
    with pytest.raises(ApiError) as caught:
        world.ask(max_tokens=8000)
    assert (caught.value.status, caught.value.code) == (429, code)
    assert caught.value.headers["x-should-retry"] == "false"
