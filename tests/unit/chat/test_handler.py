"""The chat function's entry point: whatever goes wrong is an answer in the one shape, and the slot is free again."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

import chat.handler as entry
from chat.accounting import Account
from chat.composition import Services
from chat.models import Registry
from chat.providers.base import ProviderUnavailable
from chatapi.aws.errors import AwsError
from chatapi.verdict import INSUFFICIENT_SCOPE, MAX_BODY_BYTES
from chatapi_runtime import Context, Response
from tests.support.chat_world import World

CANARY = "canary-7f3a"
GOOD = json.dumps({"model": "smollm2-135m", "messages": [{"role": "user", "content": CANARY}]})


@pytest.fixture(name="world")
def wired_world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    registry = Registry("local", openai=True, region="eu-central-1")
    services = Services(registry, world.chat, world.stored, lambda verdict: Account(world.projects, "T", verdict))
    monkeypatch.setattr(entry, "_services", services)
    return world


def call(world: World, body: str, *, encoded: bool = False, **verdict: Any) -> Response:
    context = world.admit()._replace(**verdict).to_context()
    event = {"httpMethod": "POST", "resource": "/v1/chat/completions", "body": body, "isBase64Encoded": encoded}
    event["requestContext"] = {"requestId": "req-1", "authorizer": context}
    return entry.handler(event, Context("aws-1", int(time.time() * 1000) + 60_000, "arn"))


@pytest.mark.parametrize(
    ("body", "encoded", "status", "code"),
    [
        ("{", False, 400, "invalid_json"),
        ("\ud800", False, 400, "invalid_json"),
        ("not base64!", True, 400, "invalid_json"),
        ("\u00e9", True, 400, "invalid_json"),
        ("x" * (MAX_BODY_BYTES + 1), False, 413, "request_too_large"),
        (base64.b64encode(b"x" * (MAX_BODY_BYTES + 1)).decode(), True, 413, "request_too_large"),
        (GOOD.replace("smollm2", "other"), False, 404, "model_not_found"),
        (GOOD, False, 503, "service_unavailable"),
    ],
    ids=[
        "no json",
        "a surrogate",
        "no base64",
        "no ascii",
        "too large",
        "too large encoded",
        "no model",
        "no provider",
    ],
)
def test_a_refusal_frees_the_slot_and_gives_the_tokens_back(
    world: World, body: str, encoded: bool, status: int, code: str
) -> None:
    world.provider.add(ProviderUnavailable())
    response = call(world, body, encoded=encoded)
    text = b"".join(response.body)
    assert (response.status, json.loads(text)["error"]["code"]) == (status, code)
    assert response.headers["x-request-id"] == "req-1"
    assert CANARY.encode() not in text
    assert (world.used(), world.slots()) == (0, 0)


def test_a_key_without_the_scope_takes_nothing_from_the_project(world: World) -> None:
    response = call(world, GOOD, outcome=INSUFFICIENT_SCOPE)
    assert response.status == 403
    assert (world.used(), world.slots(), world.provider.calls) == (0, 0, [])


def test_what_aws_refuses_is_a_503_and_its_code_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a role that lacks an action
    def denied(project: str, subject: str) -> None:
        raise AwsError("AccessDeniedException", 400)

    monkeypatch.setattr(world.completions, "open_for", denied)
    response = call(world, GOOD[:-1] + ', "store": true}')
    assert response.status == 503
    line = json.loads(capsys.readouterr().out)
    assert (line["error"], line["code"], line["request_id"]) == ("AwsError", "AccessDeniedException", "req-1")
    assert world.slots() == 0


def test_a_project_is_served_in_its_home_region_alone(world: World) -> None:
    response = call(world, GOOD, region="us-east-1")
    assert (response.status, json.loads(b"".join(response.body))["error"]["code"]) == (403, "wrong_region")
    assert (world.used(), world.slots(), world.provider.calls) == (0, 0, [])
