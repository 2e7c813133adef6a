"""Redaction: a model provider sees none of the values, the caller sees all of them, and they rest nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatapi.keys import SCOPES
from tests.privacy.test_canary import CHAT, KEYS, Haul, attempt, haul, raw_items
from tests.support.canary import Canary
from tests.support.deployed import InProcess
from tests.support.embedding_model import EMBEDDER, offer
from tests.support.scripted_answers import Script

__all__ = ["haul"]

MAIL = Canary("mail", "canary.zq7@häh.example")
CARD = Canary("card", "4111 1111 1111 1111")
MADE_UP = Canary("made up", "canary.of.the.model@example.org")
RESPONSES = "/v1/responses"
SAY = f"Mail {MAIL.text}, card {CARD.text}."
TOOL = {"type": "function", "function": {"name": "send", "description": f"Not to {MAIL.text}"}}
ARGUMENTS = json.dumps({"to": MAIL.text, "card": CARD.text})
HISTORY = [
    {"role": "system", "content": f"Serve {MAIL.text}."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "send", "arguments": ARGUMENTS}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": ARGUMENTS},
    {"role": "user", "content": SAY},
]
ITEMS = [
    {"type": "function_call", "call_id": "c", "name": "send", "arguments": ARGUMENTS},
    {"type": "function_call_output", "call_id": "c", "output": ARGUMENTS},
    {"role": "user", "content": SAY},
]


def said(body: bytes) -> str:
    """The text of an answer, of either surface, streamed or whole."""
    if not body.startswith((b"data: ", b"event: ")):
        told = json.loads(body)
        if "choices" in told:
            return str(told["choices"][0]["message"]["content"])
        return str(told["output"][0]["content"][0]["text"])
    out = ""
    for line in body.decode().splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: {") else {}
        if event.get("type") == "response.output_text.delta":
            out += event["delta"]
        out += "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
    return out


def test_the_model_sees_placeholders_the_caller_values_and_nothing_else_either(
    functions: InProcess, haul: Haul, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a project that demands redaction, and a model that repeats what it is told, calls a tool, invents a value
    offer(monkeypatch)
    _, key = functions.project(scopes=SCOPES, redact="all")
    upstream = functions.stack.upstream
    before = len(upstream.requests)
    chat: dict[str, Any] = {"model": "smollm2-135m", "messages": HISTORY, "tools": [TOOL]}
    response = {"model": "smollm2-135m", "input": ITEMS, "instructions": f"Serve {MAIL.text}."}
    pieces = ("Mail <EM", "AIL", "_1", ">, card <CARD_1>.")
    for path, body in ((CHAT, chat), (RESPONSES, response)):
        for stream in (False, True):
            for script in (Script(echo=True), Script(pieces=pieces)):
                upstream.script(script)
                status, answered = attempt(functions, haul, key, "POST", path, {**body, "stream": stream})
                # then the caller reads the values
                assert (status, said(answered).strip()) == (200, SAY), (path, stream)
    arguments = '{"to": "\\u003cEMAIL_1\\u003e", "card": "<CARD_1>"}'
    upstream.script(Script(tool_calls=(("send", arguments),)))
    made = json.loads(attempt(functions, haul, key, "POST", CHAT, chat)[1])
    [call] = made["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == json.loads(ARGUMENTS)
    upstream.script(*[Script(pieces=(*pieces, " Or ", MADE_UP.text))] * 2)
    stored = []
    for path, body in ((CHAT, chat), (RESPONSES, response)):
        status, answered = attempt(functions, haul, key, "POST", path, {**body, "store": True})
        assert (status, said(answered)) == (200, f"{SAY} Or {MADE_UP.text}")
        stored.append(attempt(functions, haul, key, "GET", path + "/{id}", id=json.loads(answered)["id"])[1])
    assert attempt(functions, haul, key, "POST", "/v1/embeddings", {"model": EMBEDDER, "input": [SAY]})[0] == 200
    # and on failures as well
    upstream.script(Script(status=500), Script(pieces=("a",), cut_after=1), Script(status=400))
    image = [{"role": "user", "content": [{"type": "text", "text": SAY}, {"type": "input_audio", "input_audio": {}}]}]
    for body in (chat, chat, chat, {**chat, "messages": image}, {**chat, "logprobs": True}):
        status, answered = attempt(functions, haul, key, "POST", CHAT, body)
        assert status >= 400
        assert not MAIL.found_in(answered)

    # then no value is in anything that reached the provider
    asked = upstream.requests[before:]
    assert len(asked) == 8 + 1 + 2 + 1 + 3
    for each in asked:
        got = json.dumps(each.body, ensure_ascii=False).encode() + json.dumps(each.body).encode()
        assert not any(canary.found_in(got) for canary in (MAIL, CARD))
    # nor in what was stored, where those of the model's own are placeholders, too
    for kept in stored:
        assert not any(canary.found_in(kept) for canary in (MAIL, CARD, MADE_UP))
        assert "Mail <EMAIL_1>, card <CARD_1>. Or <EMAIL_2>" in kept.decode()
    # nor in a log, a call to AWS, or a table
    output = haul.search(outside=raw_items(functions))
    assert output == {}
    everything = haul.everything(raw_items(functions))
    assert not any(canary.found_in(everything) for canary in (MAIL, CARD, MADE_UP))


def test_a_key_and_a_request_can_demand_it_and_none_can_take_it_away(functions: InProcess, haul: Haul) -> None:
    # given a project without a demand, and a key with one that its maker cannot lose
    _, key = functions.project(scopes=SCOPES)
    _, made = attempt(
        functions, haul, key, "POST", KEYS, {"name": "k", "scopes": ["chat", "keys"], "redact": ["email"]}
    )
    bound = json.loads(made)["key"]
    looser = {"name": "k", "scopes": ["chat"], "redact": ["card"]}
    status, refused = attempt(functions, haul, bound, "POST", KEYS, looser)
    assert (status, json.loads(refused)["error"]["param"]) == (403, "redact")
    upstream = functions.stack.upstream
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": SAY}]}
    for who, handling, hidden in (
        (key, None, ()),
        (key, {"redact": ["card"]}, (CARD,)),
        (bound, None, (MAIL,)),
        (bound, {"redact": False}, (MAIL,)),
        (bound, {"redact": True}, (MAIL, CARD)),
    ):
        upstream.script(Script(echo=True))
        asked = body if handling is None else {**body, "data_handling": handling}
        status, answered = attempt(functions, haul, who, "POST", CHAT, asked)
        assert (status, said(answered).strip()) == (200, SAY)
        got = json.dumps(upstream.requests[-1].body, ensure_ascii=False).encode()
        assert [canary for canary in (MAIL, CARD) if not canary.found_in(got)] == list(hidden)
