"""Signed thoughts from one turn to the next: a response over the Bedrock adapter and a server that speaks its stream.

The shapes are those of the Amazon Bedrock API reference, "ReasoningContentBlockDelta" and "ReasoningContentBlock".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from openai.types.responses import Response, ResponseStreamEvent

from chat.providers.base import Finish, Reasoning, Sealed, Signed, Text
from chat.providers.scripted import ScriptedStream
from chat.thoughts import Sealing, Thoughts
from tests.support.chat_world import World, events, whole
from tests.support.strict import strictly
from tests.unit.aws.stub import Chunks, Stub
from tests.unit.providers.frames import START, event, metadata, stop, text
from tests.unit.providers.test_bedrock import provider

MODEL = "bedrock-smollm2-135m"
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
ASKED = {"role": "user", "content": "Canary"}
SHAPE = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2")).shape_for("ConverseStreamRequest")


def world(stub: Stub, **more: Any) -> World:
    return World(provider=provider(stub.url), **more)  # type: ignore[arg-type]


def thought(block: int, *deltas: dict[str, str]) -> bytes:
    frames = [event("contentBlockDelta", delta={"reasoningContent": d}, contentBlockIndex=block) for d in deltas]
    return b"".join([*frames, event("contentBlockStop", contentBlockIndex=block)])


def call(block: int, name: str) -> bytes:
    tool = {"toolUseId": f"id-{name}", "name": "f"}
    return (
        event("contentBlockStart", start={"toolUse": tool}, contentBlockIndex=block)
        + event("contentBlockDelta", delta={"toolUse": {"input": "{}"}}, contentBlockIndex=block)
        + event("contentBlockStop", contentBlockIndex=block)
    )


def turn(stub: Stub, *frames: bytes) -> None:
    stub.reply(Chunks((START, *frames, metadata(5, 5))))


def think_and_call(stub: Stub) -> None:
    signed = thought(0, {"text": "I need "}, {"text": "f."}, {"signature": "c2lnbmF0dXJl"})
    turn(stub, signed, call(1, "a"), stop("tool_use"))


def answered(stub: Stub) -> None:
    turn(stub, text("Done.", 0), stop())


def results(output: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [item["call_id"] for item in output if item["type"] == "function_call"]
    return [{"type": "function_call_output", "call_id": each, "output": "1"} for each in ids]


def told(stub: Stub) -> list[dict[str, Any]]:
    """The blocks of the assistant's turns in the last request, which is one that Converse takes."""
    body = stub.requests[-1].json
    problems = ParamValidator().validate({"modelId": "m", **_bytes(body)}, SHAPE)
    assert not problems.has_errors(), problems.generate_report()
    return [block for message in body["messages"] if message["role"] == "assistant" for block in message["content"]]


def _bytes(body: Any) -> Any:
    if isinstance(body, list):
        return [_bytes(each) for each in body]
    if not isinstance(body, dict):
        return body
    return {k: base64.b64decode(v) if k == "redactedContent" else _bytes(v) for k, v in body.items()}


SIGNED = {"reasoningContent": {"reasoningText": {"text": "I need f.", "signature": "c2lnbmF0dXJl"}}}
CALLED = {"toolUse": {"toolUseId": "id-a", "name": "f", "input": {}}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_tools_result_goes_back_behind_the_signed_thought(stub: Stub, stream: bool) -> None:
    # given a model that thinks, and calls a tool
    here = world(stub)
    think_and_call(stub)
    made = here.respond(model=MODEL, input=[ASKED], tools=[TOOL], stream=stream)
    if stream:
        found = events(made)
        for each in found:
            strictly(ResponseStreamEvent, each)
        first = found[-1]["response"]
    else:
        first = whole(made)
    strictly(Response, first)
    assert [item["type"] for item in first["output"]] == ["reasoning", "function_call"]
    reasoning = first["output"][0]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "I need f."}]
    assert "signature" not in base64.urlsafe_b64decode(reasoning["encrypted_content"][5:]).decode("latin-1")
    # when the caller, of which nothing is stored, sends all of it with the tool's result
    answered(stub)
    whole(here.respond(model=MODEL, input=[ASKED, *first["output"], *results(first["output"])], tools=[TOOL]))
    # then the provider gets its block as it was, before the call
    assert told(stub) == [SIGNED, CALLED]


@pytest.mark.parametrize("within", ["previous_response_id", "conversation"])
def test_what_is_stored_goes_back_likewise(stub: Stub, within: str) -> None:
    here = world(stub)
    more: dict[str, Any] = {}
    if within == "conversation":
        more = {"conversation": whole(here.call("POST", "/v1/conversations", {}))["id"]}
    think_and_call(stub)
    first = whole(here.respond(model=MODEL, input=[ASKED], tools=[TOOL], store=True, **more))
    answered(stub)
    after = more or {"previous_response_id": first["id"]}
    whole(here.respond(model=MODEL, input=results(first["output"]), tools=[TOOL], store=True, **after))
    assert told(stub) == [SIGNED, CALLED]
    # and what is read and played again is what was answered
    path = "/v1/responses/{id}"
    assert whole(here.call("GET", path, id=first["id"])) == first
    again = events(here.call("GET", path, query={"stream": "true"}, id=first["id"]))
    assert again[-1]["response"] == first


def test_thoughts_between_calls_keep_their_places(stub: Stub) -> None:
    here = world(stub)
    secret = base64.b64encode(b"\x00encrypted").decode()
    turn(
        stub,
        thought(0, {"redactedContent": secret}),
        text("Well.", 1),
        thought(2, {"signature": "b25seQ=="}),
        call(3, "a"),
        thought(4, {"text": "More."}, {"signature": "bW9yZQ=="}),
        call(5, "b"),
        thought(6, {"text": "unsigned"}),
        stop("tool_use"),
    )
    first = whole(here.respond(model=MODEL, input=[ASKED], tools=[TOOL]))
    strictly(Response, first)
    kinds = ["reasoning", "message", "reasoning", "function_call", "reasoning", "function_call", "reasoning"]
    assert [item["type"] for item in first["output"]] == kinds
    assert [item["content"] for item in first["output"] if item["type"] == "reasoning"][:2] == [[], []]
    answered(stub)
    whole(here.respond(model=MODEL, input=[ASKED, *first["output"], *results(first["output"])], tools=[TOOL]))
    assert told(stub) == [
        {"reasoningContent": {"redactedContent": secret}},
        {"text": "Well."},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "b25seQ=="}}},
        CALLED,
        {"reasoningContent": {"reasoningText": {"text": "More.", "signature": "bW9yZQ=="}}},
        {"toolUse": {"toolUseId": "id-b", "name": "f", "input": {}}},
    ]


@pytest.mark.parametrize("how", ["forged", "changed", "of another model", "of another project"])
def test_a_thought_that_is_not_ours_goes_nowhere(stub: Stub, how: str) -> None:
    here = world(stub)
    block = {"reasoningText": {"text": "canary", "signature": "x"}}
    own = here.chat._thoughts("project1", here.chat.model(MODEL, here.admit()))
    tokens = {
        "forged": "cht1_" + base64.urlsafe_b64encode(b"n" * 12 + json.dumps(block).encode()).decode(),
        "changed": own.seal(block)[:-6] + "AAAA==",
        "of another model": Thoughts("secret", "other").seal(block),
        "of another project": here.chat._thoughts("project2", here.chat.model(MODEL, here.admit())).seal(block),
    }
    assert own.opened(own.seal(block)) == block
    answered(stub)
    items = [ASKED, {"type": "reasoning", "encrypted_content": tokens[how]}, {"role": "assistant", "content": "Yes."}]
    whole(here.respond(model=MODEL, input=[*items, ASKED]))
    assert told(stub) == [{"text": "Yes."}]
    assert b"canary" not in stub.requests[-1].body


def test_no_thought_is_carried_where_redaction_is_in_force(stub: Stub) -> None:
    # given a thought from before, of a time without redaction
    here = world(stub)
    turn(stub, thought(0, {"text": "canary@example.org"}, {"signature": "eA=="}), call(1, "a"), stop("tool_use"))
    first = whole(here.respond(model=MODEL, input=[ASKED], tools=[TOOL]))
    # when it comes with a request that demands redaction, and is stored with it
    turn(stub, thought(0, {"text": "Again."}, {"signature": "eA=="}), text("Done.", 1), stop())
    second = whole(
        here.respond(
            model=MODEL,
            input=[ASKED, *first["output"], *results(first["output"])],
            tools=[TOOL],
            store=True,
            data_handling={"redact": True},
        )
    )
    # then it goes to nobody, none is made, and none is stored
    assert told(stub) == [CALLED]
    assert [item.get("encrypted_content") for item in second["output"]] == [None, None]
    listed = whole(here.call("GET", "/v1/responses/{id}/input_items", id=second["id"]))
    assert not [item for item in listed["data"] if item.get("encrypted_content")]


def test_another_provider_gets_no_thought(stub: Stub) -> None:
    here = world(stub)
    think_and_call(stub)
    first = whole(here.respond(model=MODEL, input=[ASKED], tools=[TOOL]))
    answered(stub)  # the same adapter, asked as if it were another provider's
    whole(here.respond(input=[ASKED, *first["output"], *results(first["output"])], tools=[TOOL]))
    assert told(stub) == [CALLED]


def test_a_signature_is_of_the_thought_before_it_alone() -> None:
    # given a thought that nobody signed, an answer that begins, and one that is signed
    said = (Reasoning("Aside. "), Text("So: "), Reasoning("I need f."), Signed("c2lnbmF0dXJl"), Finish("stop"))
    thoughts = Thoughts("secret", "model")
    sealing = Sealing(ScriptedStream(said), thoughts)
    # then what is sealed is what was signed
    (token,) = (event.token for event in sealing if isinstance(event, Sealed))
    assert thoughts.opened(token) == {"reasoningText": {"text": "I need f.", "signature": "c2lnbmF0dXJl"}}
