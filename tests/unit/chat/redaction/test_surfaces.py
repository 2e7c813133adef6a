"""Redaction on the other surfaces: responses with what they build on, and embeddings."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from chat.embeddings import embed
from chat.providers.base import Finish, Reasoning, Text, ToolArguments, ToolStart, Usage, Vectors
from chat.providers.scripted import answer
from chatapi.errors import BadRequest
from tests.support.chat_world import World, events, whole
from tests.support.embedding_model import EMBEDDER, offer

MAIL, PHONE = "jane@example.com", "+14155552671"
ON = {"redact": True, "receipt": True}
TOOL = {"type": "function", "name": "f", "parameters": {"properties": {"name": {"default": {"id": MAIL}}}}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_and_its_calls_are_restored(stream: bool) -> None:
    world = World()
    call = ToolStart(0, "c", "f"), ToolArguments(0, '{"to": "<EMAIL_1>"}')
    world.provider.add((Text("Mail <EM"), Text("AIL_1>"), *call, Finish("tool_calls"), Usage(3, 2)))
    made = world.respond(
        input=f"I am {MAIL}", instructions=f"Serve {MAIL}", tools=[TOOL], stream=stream, data_handling=ON
    )
    said = events(made)[-1]["response"] if stream else whole(made)
    assert MAIL not in json.dumps([world.provider.calls[0].messages, world.provider.calls[0].tools])
    message, called = said["output"]
    assert message["content"][0]["text"] == f"Mail {MAIL}"
    assert json.loads(called["arguments"]) == {"to": MAIL}
    assert said["data_handling"]["redaction"]["values"] == {"email": 1}
    assert made.headers["data-handling"].endswith("redacted=email:1")


def test_what_is_stored_has_placeholders_and_what_builds_on_it_has_others() -> None:
    # given a stored response
    world = World()
    world.provider.add(answer("Mail <EMAIL_1>", f" or {PHONE}"), answer("<EMAIL_1> is not <EMAIL_2>"))
    asked = {
        "store": True,
        "instructions": f"For {MAIL}",
        "tools": [TOOL],
        "metadata": {"a": MAIL},
        "data_handling": ON,
    }
    first = whole(world.respond(input=[{"role": "user", "content": f"I am {MAIL}"}], **asked))
    assert first["output"][0]["content"][0]["text"] == f"Mail {MAIL} or {PHONE}"
    # then it lies there without the values, ids and labels as they were
    stored = whole(world.call("GET", "/v1/responses/{id}", id=first["id"]))
    assert stored["output"][0]["content"][0]["text"] == "Mail <EMAIL_1> or <PHONE_1>"
    assert stored["instructions"] == "For <EMAIL_1>"
    assert MAIL not in json.dumps({**stored, "metadata": None})
    assert (stored["id"], stored["metadata"]) == (first["id"], {"a": MAIL})
    assert stored["output"][0]["id"] == first["output"][0]["id"]
    items = whole(world.call("GET", "/v1/responses/{id}/input_items", id=first["id"]))["data"]
    assert items[0]["content"][0]["text"] == "I am <EMAIL_1>"
    # when another response builds on it, with a value of its own
    again = whole(
        world.respond(input="And b@x.de?", previous_response_id=first["id"], data_handling={"redact": ["email"]})
    )
    # then the older placeholder is a text like any other, and is not taken for the new value
    assert "b@x.de" not in json.dumps(world.provider.calls[1].messages)
    assert again["output"][0]["content"][0]["text"] == "<EMAIL_1> is not b@x.de"


def test_history_that_was_stored_without_redaction_is_hidden_as_well() -> None:
    world = World()
    world.provider.add(answer(f"Hello {MAIL}"), answer("Fine."))
    first = whole(world.respond(input=PHONE, store=True))
    world.redact = "all"
    whole(world.respond(input="Go on.", previous_response_id=first["id"]))
    messages = json.dumps(world.provider.calls[1].messages)
    assert MAIL not in messages
    assert PHONE not in messages


def test_an_image_in_a_response_is_refused_by_the_name_of_that_surface() -> None:
    world = World(redact="all")
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    with pytest.raises(BadRequest) as refused:
        world.respond(input=[{"role": "user", "content": [image]}])
    assert refused.value.param == "input"
    assert world.provider.calls == []


def test_a_response_in_a_conversation_leaves_placeholders_in_it() -> None:
    world = World()
    world.provider.add(answer("Hello <EMAIL_1>"), answer("<EMAIL_1>, <EMAIL_2>"))
    conversation = whole(world.call("POST", "/v1/conversations", {}))["id"]
    for said, answered in ((MAIL, f"Hello {MAIL}"), ("b@x.de", "<EMAIL_1>, b@x.de")):
        world.clock.advance(1)  # ids sort by time
        made = whole(world.respond(input=f"I am {said}", conversation=conversation, data_handling=ON))
        assert made["output"][0]["content"][0]["text"] == answered
        world.clock.advance(1)  # items of one moment have no order
    kept = whole(world.call("GET", "/v1/conversations/{id}/items", id=conversation, query={"order": "asc"}))["data"]
    assert [item["content"][0]["text"] for item in kept] == [
        "I am <EMAIL_1>",
        "Hello <EMAIL_1>",
        "I am <EMAIL_2>",
        "<EMAIL_1>, <EMAIL_2>",
    ]


def test_items_that_are_put_into_a_conversation_are_redacted_where_the_project_demands_it() -> None:
    world = World(redact="email")
    items = [{"role": "user", "content": f"I am {MAIL}"}]
    items += [{"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"to": MAIL})}]
    made = whole(world.call("POST", "/v1/conversations", {"items": items}))
    added = whole(world.call("POST", "/v1/conversations/{id}/items", {"items": items}, id=made["id"]))
    said = added["data"][0]["content"][0]["text"]
    assert re.fullmatch(r"I am <EMAIL_\d{2,}>", said)
    assert json.loads(added["data"][1]["arguments"]) == {"to": said.removeprefix("I am ")}
    kept = whole(world.call("GET", "/v1/conversations/{id}/items", id=made["id"]))
    assert len(kept["data"]) == 4
    assert MAIL not in json.dumps(kept)
    # nor does one in a file
    data = base64.b64encode(MAIL.encode()).decode()
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64," + data}
    item = {"role": "user", "content": [file]}
    whole(world.call("POST", "/v1/conversations/{id}/items", {"items": [item]}, id=made["id"]))
    kept = whole(world.call("GET", "/v1/conversations/{id}/items", id=made["id"]))
    [inside] = [part["file_data"] for item in kept["data"] for part in item.get("content", ()) if "file_data" in part]
    assert base64.b64decode(inside.partition(",")[2]).startswith(b"<EMAIL_")
    # and what cannot be read is not taken
    image = {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}
    with pytest.raises(BadRequest) as refused:
        world.call("POST", "/v1/conversations/{id}/items", {"items": [image]}, id=made["id"])
    assert (refused.value.code, refused.value.param) == ("redaction_not_possible", "items[0].content[0]")


def test_texts_to_embed_have_placeholders_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    world = World()
    vectors: Any = Vectors(())
    world.provider.add(*[(vectors, Finish("stop"), Usage(3, 0))] * 2)

    def ask(inputs: Any) -> tuple[Any, ...]:
        body = {"model": EMBEDDER, "input": inputs, "data_handling": ON}
        raw = json.dumps(body).encode()
        from chat.accounting import Account

        verdict = world.admit(len(raw))
        made = embed(world.chat, raw, verdict, Account(world.projects, "T", verdict, records="R"), 60.0)
        assert "redacted=email" in made.headers["data-handling"]
        return world.provider.embedded[-1].inputs

    assert ask([f"I am {MAIL}", "b@x.de"]) == ("I am <EMAIL>", "<EMAIL>")
    assert ask(f"I am {MAIL}") == ("I am <EMAIL>",)
    with pytest.raises(BadRequest) as refused:
        ask([1, 2])
    assert (refused.value.code, refused.value.param) == ("redaction_not_possible", "input")
    assert len(world.provider.embedded) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_the_text_of_a_custom_call_is_hidden_and_restored_as_a_text(stream: bool) -> None:
    # given a custom tool, a call of it in the history, and a model that calls it with what it was shown
    world = World()
    call = ToolStart(0, "c", "shell"), ToolArguments(0, '{"input": "mail \\"<EMA'), ToolArguments(0, 'IL_1>\\" now"}')
    world.provider.add((Reasoning("To <EMAIL_1>."), *call, Finish("tool_calls"), Usage(3, 2)))
    shell = {"type": "custom", "name": "shell", "description": f"For {MAIL}"}
    history = [
        {"role": "user", "content": "Go on."},
        {"type": "custom_tool_call", "call_id": "b", "name": "shell", "input": f"finger {MAIL}"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": f"{MAIL} is there"},
    ]
    # when
    asked = {"input": history, "tools": [shell], "stream": stream, "store": True, "data_handling": ON}
    made = world.respond("key", **asked)
    said = events(made)[-1]["response"] if stream else whole(made)
    # then no model and no store sees the value, and the caller does, also where it is sent again
    assert MAIL not in json.dumps([world.provider.calls[0].messages, world.provider.calls[0].tools])
    thought, called = said["output"]
    assert (thought["content"][0]["text"], called["input"]) == (f"To {MAIL}.", f'mail "{MAIL}" now')
    kept = whole(world.call("GET", "/v1/responses/{id}", id=said["id"]))
    assert MAIL not in json.dumps(kept)
    again = world.respond("key", **asked)
    assert again.headers["idempotency-replayed"] == "true"
    assert (events(again)[-1]["response"] if stream else whole(again))["output"] == said["output"]


def test_a_replay_in_a_conversation_keeps_its_placeholders() -> None:
    world = World()
    conversation = whole(world.call("POST", "/v1/conversations", {}))["id"]
    world.provider.add(answer("To <EMAIL_1>"))
    asked = {"input": f"I am {MAIL}", "conversation": conversation, "store": True, "data_handling": ON}
    first = whole(world.respond("key", **asked))
    assert first["output"][0]["content"][0]["text"] == f"To {MAIL}"
    assert MAIL not in json.dumps(whole(world.respond("key", **asked)))
