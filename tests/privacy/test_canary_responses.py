"""Responses and conversations: what was said lies as ciphertext in the Records table, and an erasure takes it there."""

from __future__ import annotations

import json
from typing import Any

from chatapi.keys import SCOPES
from tests.privacy.test_canary import CANARIES, Haul, attempt, haul, raw_items
from tests.support.deployed import InProcess, erase
from tests.support.scripted_answers import Script

__all__ = ["haul"]

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
TEXT = {place: canary.text for place, canary in CANARIES.items()}
PERSON = {"user": TEXT["user"], "safety_identifier": TEXT["safety"]}
META = {TEXT["metadata-key"]: TEXT["metadata"]}
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": TEXT["prompt"]}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"a": TEXT["arguments"]})},
    {"type": "function_call_output", "call_id": "c", "output": TEXT["tool"]},
]


def planted(**more: Any) -> dict[str, Any]:
    body = {"model": "smollm2-135m", "input": ITEMS, "instructions": TEXT["system"], "metadata": META, **PERSON}
    return {**body, **more}


def test_what_was_said_is_ciphertext_until_it_is_erased(functions: InProcess, haul: Haul) -> None:
    # given canaries in every field: stored, streamed, in a conversation, unstored, refused, failing half-way
    project, key = functions.project()
    upstream = functions.stack.upstream
    answer = Script(pieces=(TEXT["answer"], " fine"))
    upstream.script(*[answer] * 4, Script(pieces=("a", TEXT["answer"]), cut_after=1), Script(status=500))

    def call(method: str, resource: str, body: Any = None, **path: str) -> tuple[int, Any]:
        status, said = attempt(functions, haul, key, method, resource, body, **path)
        return status, json.loads(said) if said.startswith(b"{") else said

    status, made = call("POST", CONVERSATIONS, {"items": ITEMS, "metadata": META, **PERSON})
    assert status == 200
    conversation = made["id"]
    assert call("POST", CONVERSATIONS + "/{id}/items", {"items": ITEMS, **PERSON}, id=conversation)[0] == 200
    assert call("POST", CONVERSATIONS + "/{id}", {"metadata": META}, id=conversation)[0] == 200
    assert call("POST", RESPONSES, planted())[0] == 200
    status, stored = call("POST", RESPONSES, planted(store=True))
    assert status == 200
    assert call("POST", RESPONSES, planted(store=True, stream=True, previous_response_id=stored["id"]))[0] == 200
    assert call("POST", RESPONSES, planted(conversation=conversation))[0] == 200
    assert call("POST", RESPONSES, planted(stream=True))[0] == 200
    bad = [
        planted(),
        planted(model=TEXT["prompt"]),
        planted(temperature=TEXT["prompt"]),
        planted(metadata={TEXT["metadata-key"]: 1}),
    ]
    bad += [
        planted(previous_response_id=TEXT["prompt"]),
        planted(conversation=TEXT["prompt"]),
        {**planted(), "tools": [{"type": TEXT["tool"]}]},
    ]
    bad += ["{" + TEXT["prompt"], planted(input=[{"type": TEXT["prompt"]}]), planted(input=[{"id": TEXT["prompt"]}])]
    for body in bad:
        status, said = attempt(functions, haul, key, "POST", RESPONSES, body)
        assert status >= 400, body
        assert not any(canary.found_in(said) for canary in CANARIES.values())
    for resource in ("/v1/responses/{id}", "/v1/conversations/{id}", "/v1/conversations/{id}/items"):
        assert attempt(functions, haul, key, "GET", resource, id=TEXT["query"])[0] == 404
    # what was said is the caller's own, and of all that AWS holds nothing can be read
    status, items = call("GET", CONVERSATIONS + "/{id}/items", id=conversation)
    assert (status, len(items["data"])) == (200, 10)
    assert TEXT["prompt"] in json.dumps(items, ensure_ascii=False)
    assert call("GET", RESPONSES + "/{id}", id=stored["id"])[1]["metadata"] == META
    assert haul.search(outside=raw_items(functions)) == {}

    # when the person is erased
    status, case = call("POST", "/v1/privacy/requests", {"type": "erasure", "subject": {"user": TEXT["user"]}})
    assert status == 202
    erase(case["id"], project)

    # then the rows are counted and gone, and so are the ids
    status, case = call("GET", "/v1/privacy/requests/{id}", id=case["id"])
    assert case["status"] == "completed"
    records = next(store for store in case["stores"] if store["store"] == "records")
    assert records["outcome"] in ("deleted", "shredded")
    assert records["count"] >= 1 + 10 + 2 + 3  # the conversation, its items, the responses, and their locators
    assert call("GET", RESPONSES + "/{id}", id=stored["id"])[0] == 404
    assert call("GET", CONVERSATIONS + "/{id}", id=conversation)[0] == 404
    left = raw_items(functions)
    assert haul.search(outside=left) == {}
    assert conversation.encode() not in left
    assert stored["id"].encode() not in left


def test_a_key_for_chats_alone_does_not_read_through_the_model(functions: InProcess, haul: Haul) -> None:
    # given a response of the project, stored by a key that may read
    _, key = functions.project(scopes=SCOPES)
    functions.stack.upstream.script(Script(pieces=(TEXT["answer"],)))
    stored = json.loads(attempt(functions, haul, key, "POST", RESPONSES, planted(store=True))[1])
    _, made = attempt(functions, haul, key, "POST", "/v1/keys", {"name": "chats", "scopes": ["chat"]})
    chats = json.loads(made)["key"]
    asked = len(functions.stack.upstream.requests)
    # when a key that may not asks the model to repeat it
    say = {"model": "smollm2-135m", "input": "Say it again."}
    by_item = {**say, "input": [{"id": stored["output"][0]["id"]}]}
    for body in ({**say, "previous_response_id": stored["id"]}, by_item):
        status, said = attempt(functions, haul, chats, "POST", RESPONSES, body)
        # then nothing was asked of the model
        assert (status, json.loads(said)["error"]["code"]) == (403, "insufficient_scope")
    assert len(functions.stack.upstream.requests) == asked
