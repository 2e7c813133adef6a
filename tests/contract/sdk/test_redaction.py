"""Redaction as a developer meets it: the SDK shows values, the model was told placeholders, no token waits in vain."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from openai import BadRequestError, OpenAI

from tests.support.live_stack import MODEL, Live
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream

MAIL = "jane.doe@example.com"
ASKED = {"role": "user", "content": f"Write to {MAIL}."}
TOOL = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}


@pytest.fixture
def redacted(live: Live, upstream: ScriptedUpstream) -> Iterator[OpenAI]:
    """The SDK with a key of a project that demands redaction."""
    with OpenAI(base_url=live.base_url, api_key=live.project(redact="all").api_key, max_retries=0) as made:
        yield made


def test_each_token_arrives_before_the_next_is_made_and_a_placeholder_when_it_is_whole(
    redacted: OpenAI, upstream: ScriptedUpstream
) -> None:
    # given a model that makes no token before the one before it has arrived, in whatever form it arrives
    pieces = ("Hello", " <", "b", "> <EMAIL", "_1>", "!", " <EMAIL_1")
    upstream.script(Script(pieces=pieces, gated=True))
    arrived = []
    with redacted.chat.completions.create(model=MODEL, messages=[ASKED], stream=True, timeout=10) as stream:
        for chunk in stream:
            delta = chunk.choices[0].delta
            if delta.role or delta.content:
                arrived.append(delta.content or "")
                upstream.release()
    # then what cannot be a placeholder any more is there at once, and the placeholder is its value
    assert arrived == ["", "Hello", " ", "<b", "> ", MAIL, "!", " ", "<EMAIL_1"]
    assert upstream.requests[0].body["messages"] == [{"role": "user", "content": "Write to <EMAIL_1>."}]


def test_the_helpers_of_the_sdk_see_values_in_calls_and_in_text(redacted: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(tool_calls=(("send", '{"to": "<EMAIL_1>"}'),)))
    with redacted.chat.completions.stream(model=MODEL, messages=[ASKED], tools=[TOOL]) as stream:
        [call] = stream.get_final_completion().choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"to": MAIL}
    # when the call and its result go back, the model gets placeholders again
    upstream.script(Script(pieces=("Sent to <EMA", "IL_1>.")))
    turn = {"id": call.id, "type": "function", "function": {"name": "send", "arguments": call.function.arguments}}
    history = [ASKED, {"role": "assistant", "tool_calls": [turn]}]
    history += [{"role": "tool", "tool_call_id": call.id, "content": f"sent to {MAIL}"}]
    done = redacted.chat.completions.create(model=MODEL, messages=history)  # type: ignore[arg-type]
    assert done.choices[0].message.content == f"Sent to {MAIL}."
    assert MAIL not in json.dumps(upstream.requests[-1].body)
    upstream.script(Script(pieces=("To <EMA", "IL_1>.")))
    with redacted.responses.stream(model=MODEL, input=f"Write to {MAIL}.") as events:
        assert events.get_final_response().output_text == f"To {MAIL}."
    assert MAIL not in json.dumps(upstream.requests[-1].body)


def test_what_was_hidden_is_in_the_receipt_as_a_number_and_what_cannot_be_is_refused(
    redacted: OpenAI, upstream: ScriptedUpstream
) -> None:
    extra = {"data_handling": {"redact_values": ["Jane"], "receipt": True}}
    asked = [{"role": "user", "content": f"{MAIL}, Jane, {MAIL}"}]
    made = redacted.chat.completions.with_raw_response.create(model=MODEL, messages=asked, extra_body=extra)  # type: ignore[arg-type]
    assert made.headers["data-handling"].endswith("; redacted=email:1,value:1")
    told = json.loads(made.text)["data_handling"]["redaction"]
    assert told["values"] == {"email": 1, "value": 1}
    before = len(upstream.requests)
    named = [{"role": "user", "content": "x", "name": MAIL}]
    with pytest.raises(BadRequestError) as refused:
        redacted.chat.completions.create(model=MODEL, messages=named)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.param) == ("redaction_not_possible", "messages[0].name")
    assert len(upstream.requests) == before
