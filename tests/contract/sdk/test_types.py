"""Every response and stream event validates strictly against the openai package's own types: nothing missing, and
nothing besides but what docs/chat.md names as ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import openai_types
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream

ASKED: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello?"}]}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.fixture
def http(live: Live, caller: Caller, upstream: ScriptedUpstream) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {caller.api_key}"}
    with httpx.Client(base_url=live.base_url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def events(http: httpx.Client, **changes: Any) -> list[Any]:
    answer = http.post("/chat/completions", json={**ASKED, "stream": True, **changes})
    assert answer.status_code == 200, answer.text
    frames = [frame for frame in answer.text.split("\n\n") if frame and not frame.startswith(":")]
    assert all(frame.startswith("data: ") for frame in frames)
    return [json.loads(frame[6:]) for frame in frames if frame != "data: [DONE]"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"store": True, "metadata": {"a": "b"}},
        {"n": 2, "stream_options": {"include_usage": True}},
        {"data_handling": {"receipt": True, "ttl_seconds": 60}},
        {"stream_options": {"include_obfuscation": True, "include_usage": True}},
        {"tools": TOOLS, "tool_choice": "required"},
    ],
)
def test_completions_and_their_streams(http: httpx.Client, upstream: ScriptedUpstream, changes: dict[str, Any]) -> None:
    if "tools" in changes:
        upstream.script(*[Script(tool_calls=(("f", '{"a":1}'),))] * 2)
    whole = http.post("/chat/completions", json={**ASKED, **changes, "stream_options": None})
    assert whole.status_code == 200, whole.text
    openai_types.chat_completion(whole.json())
    for event in events(http, **changes):
        openai_types.chunk(event)


def test_padding_hides_the_length_of_a_word(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("a", "four", "x" * 31)))
    found = events(http, stream_options={"include_obfuscation": True})
    words = [event for event in found if event["choices"][0]["delta"].get("content")]
    assert len(words) == 3
    assert len({len(json.dumps(event)) for event in words}) == 1


def test_stored_completions(http: httpx.Client) -> None:
    made = http.post("/chat/completions", json={**ASKED, "store": True, "metadata": {"topic": "x"}}).json()
    place = f"/chat/completions/{made['id']}"
    openai_types.chat_completion(http.get(place).json(), stored=True)
    changed = http.post(place, json={"metadata": {"topic": "y"}}).json()
    openai_types.chat_completion(changed, stored=True)
    assert changed["metadata"] == {"topic": "y"}
    for topic, found in (("x", []), ("y", [made["id"]])):
        listed = http.get("/chat/completions", params={"metadata[topic]": topic}).json()
        assert [one["id"] for one in listed["data"]] == found
    openai_types.deleted(http.delete(place).json())


def test_models(http: httpx.Client) -> None:
    for model in http.get("/models").json()["data"]:
        openai_types.model(model)
        assert http.get(f"/models/{model['id']}").json() == model


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/chat/completions", {"model": MODEL}, 400),
        ("POST", "/chat/completions", {**ASKED, "verbosity": "low"}, 400),
        ("POST", "/chat/completions", {**ASKED, "model": "x"}, 404),
        ("GET", "/chat/completions/x", None, 404),
        ("POST", "/chat/completions/x", {"metadata": 5}, 400),
        ("POST", "/chat/completions/x", {"metadata": None}, 404),
        ("GET", "/chat/completions?limit=0", None, 400),
        ("GET", "/nowhere", None, 404),
    ],
)
def test_refusals(http: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == status
    openai_types.error(answer.json())


def test_refusals_in_mid_stream(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("a", "b"), error_after=1))
    *chunks, last = events(http)
    openai_types.error(last)
    for event in chunks:
        openai_types.chunk(event)


def test_every_response_has_a_receipt(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    nothing = "retained=none; processor=none; training=no"
    assert http.get("/models").headers["data-handling"] == nothing
    assert http.post("/chat/completions", json={}).headers["data-handling"] == nothing
    upstream.script(Script(status=400))
    refused = http.post("/chat/completions", json=ASKED)
    assert refused.status_code == 400
    assert refused.headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"
