"""Story: a Global Privacy Control signal is honoured, and whoever sent it is shown that it is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import chat.handler as entry
from chat.accounting import Account
from chat.composition import Services
from chat.models import Registry
from chat.providers.scripted import answer
from chat.receipts import HONOURED
from chatapi_runtime import Context, Response
from tests.support import openai_types
from tests.support.chat_world import World, frames, whole

BODY = json.dumps({"model": "smollm2-135m", "messages": [{"role": "user", "content": "hi"}]})


def call(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str] | None, body: str = BODY) -> Response:
    world = World()
    world.provider.add(answer("a"))
    registry = Registry("local", openai=True, region="eu-central-1")
    account = lambda verdict: Account(world.projects, "T", verdict)  # noqa: E731 - a port
    services = Services(registry, world.chat, world.stored, account, world.idempotent, lambda: world.surface)
    monkeypatch.setattr(entry._ready, "made", services)
    event: dict[str, Any] = {"httpMethod": "POST", "resource": "/v1/chat/completions", "body": body}
    event |= {"headers": headers, "requestContext": {"requestId": "r", "authorizer": world.admit().to_context()}}
    return entry.handler(event, Context("aws-1", int(time.time() * 1000) + 60_000, "arn"))


@pytest.mark.parametrize("name", ["Sec-GPC", "sec-gpc"])
@pytest.mark.parametrize(("body", "status"), [(BODY, 200), ("{", 400)], ids=["an answer", "a refusal"])
def test_the_header_of_a_browser_is_answered_by_a_header(
    monkeypatch: pytest.MonkeyPatch, name: str, body: str, status: int
) -> None:
    response = call(monkeypatch, {name: "1"}, body)
    assert (response.status, response.headers["privacy-signals"]) == (status, HONOURED)
    assert "privacy-signals" in response.headers["access-control-expose-headers"].split(", ")


@pytest.mark.parametrize("headers", [None, {}, {"sec-gpc": "0"}, {"sec-gpc": "true"}, {"sec-gpc": "1 "}, {"x": "1"}])
def test_nothing_but_exactly_one_is_the_signal(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str] | None) -> None:
    assert "privacy-signals" not in call(monkeypatch, headers).headers


def test_a_proxy_passes_it_on_in_the_body_and_finds_the_answer_there() -> None:
    world = World()
    world.provider.add(answer("a"))
    done = world.ask(data_handling={"gpc": True})
    body = whole(done)
    openai_types.chat_completion(body)
    assert done.headers["privacy-signals"] == HONOURED
    assert {name: body["data_handling"][name] for name in ("gpc", "sale", "sharing")} == {
        "gpc": "honored",
        "sale": False,
        "sharing": False,
    }


def test_a_stream_and_a_response_tell_it_too() -> None:
    world = World()
    world.provider.add(answer("a"))
    assert frames(world.ask(stream=True, data_handling={"gpc": True}))[0]["data_handling"]["gpc"] == "honored"
    world.provider.add(answer("a"))
    made = world.respond(data_handling={"gpc": True})
    assert made.headers["privacy-signals"] == HONOURED
    assert whole(made)["data_handling"]["gpc"] == "honored"


def test_an_absent_or_false_signal_changes_nothing() -> None:
    world = World()
    world.provider.add(answer("a"))
    done = world.ask(data_handling={"gpc": False, "receipt": True})
    assert "privacy-signals" not in done.headers
    assert "gpc" not in whole(done)["data_handling"]
