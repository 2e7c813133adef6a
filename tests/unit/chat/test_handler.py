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
from chatapi.verdict import ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE, MAX_BODY_BYTES, Verdict
from chatapi_runtime import Context, Response
from tests.support.chat_world import World

CANARY = "canary-7f3a"
GOOD = json.dumps({"model": "smollm2-135m", "messages": [{"role": "user", "content": CANARY}]})


@pytest.fixture(name="world")
def wired_world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    registry = Registry("local", openai=True, region="eu-central-1")
    services = Services(
        registry,
        world.chat,
        world.stored,
        lambda verdict: Account(world.projects, "T", verdict),
        world.idempotent,
        lambda: world.surface,
    )
    monkeypatch.setattr(entry._ready, "made", services)
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


def test_an_address_off_the_keys_list_takes_nothing_from_the_project(world: World) -> None:
    response = call(world, GOOD, outcome=ADDRESS_NOT_ALLOWED)
    assert (response.status, json.loads(b"".join(response.body))["error"]["code"]) == (403, "address_not_allowed")
    assert (world.used(), world.slots(), world.provider.calls) == (0, 0, [])


def test_a_model_off_the_keys_list_does_not_exist_for_it(world: World) -> None:
    response = call(world, GOOD, models=("bedrock-smollm2-135m",))
    error = json.loads(b"".join(response.body))["error"]
    assert (response.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert (world.used(), world.slots(), world.provider.calls) == (0, 0, [])


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        ((), ["smollm2-135m", "smollm2-135m-embeddings", "bedrock-smollm2-135m"]),
        (("smollm2-135m", "of-another-stage"), ["smollm2-135m"]),
        (("of-another-stage",), []),
    ],
)
def test_models_are_listed_as_the_key_may_use_them(world: World, models: tuple[str, ...], shown: list[str]) -> None:
    def get(resource: str, **path: str) -> tuple[int, Any]:
        context = Verdict("project1", "k1", region="eu-central-1", models=models).to_context()
        event = {"httpMethod": "GET", "resource": resource, "pathParameters": path}
        event["requestContext"] = {"requestId": "req-1", "authorizer": context}
        response = entry.handler(event, Context("aws-1", int(time.time() * 1000) + 60_000, "arn"))
        return response.status, json.loads(b"".join(response.body))

    assert [model["id"] for model in get("/v1/models")[1]["data"]] == shown
    for name in ("smollm2-135m", "bedrock-smollm2-135m"):
        assert get("/v1/models/{id}", id=name)[0] == (200 if name in shown else 404)


def test_what_aws_refuses_is_a_503_and_its_code_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a role that lacks an action
    def denied(project: str, subject: str, *, key: str | None) -> None:
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
