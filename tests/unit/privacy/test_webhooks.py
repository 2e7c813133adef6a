"""A project's webhook is told of an erasure, signed; the certificate says whether it acknowledged, and never lies."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

import privacy.handler
from chatapi.catalogue import Catalogued
from chatapi.outbound import NotReached, Outbound
from chatapi.store.webhooks import Webhooks
from chatapi.verdict import Verdict
from privacy.handler import handler
from privacy.tasks.ports import Ports
from privacy.tasks.tell import ACKNOWLEDGED, NOT_REACHED, WAITS, tell
from privacy.webhooks import Recipients, Teller
from tests.unit.privacy.world import ALICE, PROJECT, World

URL = "https://hooks.example.org/privacy?token=canary"
PATH = "/v1/privacy/recipients"


class Hook(Outbound):
    """Answers in turn: a status, or None for no answer; the last one for ever."""

    def __init__(self, *answers: int | None) -> None:
        super().__init__()
        self.answers = list(answers)
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.seen.append((url, headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NotReached("timeout")
        return answer


class Told(World):
    """A world whose project has a webhook that answers as told."""

    def __init__(self, *answers: int | None) -> None:
        super().__init__()
        self.hook = Hook(*answers)
        self.webhooks = Webhooks(Catalogued(self.requests, "requests"), lambda: b"w" * 86)
        self.ports = Ports(**{**vars(self.ports), "teller": Teller(self.webhooks, self.hook)})

    def erased(self) -> list[dict[str, Any]]:
        """An erasure from its beginning to its end; what the certificate says of the recipients."""
        self.store(ALICE)
        case = self.case()
        self.erase(case)
        told: list[dict[str, Any]] = self.certificate(case)["payload"]["recipients"]
        return told


def test_the_webhook_is_told_signed_and_the_certificate_says_that_it_acknowledged() -> None:
    world = Told(204)
    _, secret = world.webhooks.put(PROJECT, URL, 1)
    assert [line["answer"] for line in world.erased() if line["recipient"] == "webhook"] == [ACKNOWLEDGED]
    ((url, headers, body),) = world.hook.seen
    assert url == URL
    # as a receiver checks it (Standard Webhooks)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == expected
    # and the message has opaque ids alone
    message = json.loads(body)
    assert (message["kind"], message["metadata"]["tenant"]) == ("DeleteRequest", PROJECT)
    assert message["request"]["subjects"] == [ALICE]
    assert headers["webhook-id"] == "msg_" + message["metadata"]["uid"]


def test_a_webhook_that_fails_is_tried_again_with_the_same_id() -> None:
    world = Told(500, None, 302, 200)
    world.webhooks.put(PROJECT, URL, 1)
    assert [line["answer"] for line in world.erased() if line["recipient"] == "webhook"] == [ACKNOWLEDGED]
    assert len({(headers["webhook-id"], body) for _, headers, body in world.hook.seen}) == 1
    assert len(world.hook.seen) == 4


@pytest.mark.parametrize("answer", [None, 500, 302, 404, 101])
def test_a_webhook_that_never_acknowledges_was_not_reached_and_the_erasure_stands(answer: int | None) -> None:
    world = Told(answer)
    world.webhooks.put(PROJECT, URL, 1)
    assert [line["answer"] for line in world.erased() if line["recipient"] == "webhook"] == [NOT_REACHED]
    assert len(world.hook.seen) == len(WAITS) + 1
    assert world.rows_of(ALICE) == []


def test_a_webhook_that_is_taken_away_meanwhile_was_not_reached() -> None:
    world = Told(500)
    world.webhooks.put(PROJECT, URL, 1)
    world.store(ALICE)
    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy", "delete", "recipients")
    assert world.task(case, "tell") == {"done": False, "wait": WAITS[0]}
    world.webhooks.put(PROJECT, "", 2)
    assert world.task(case, "tell")["done"] is True
    assert world.again(case).get("told")["answer"] == NOT_REACHED
    # and a webhook that is set now is told nothing of a case that has been settled
    world.webhooks.put(PROJECT, URL, 3)
    assert tell(world.ports, world.again(case)) == {"done": True, "wait": 0}


def test_a_project_without_a_webhook_says_nothing_of_one() -> None:
    world = Told(200)
    world.webhooks.put("projectB", URL, 1)
    assert all(line["recipient"] != "webhook" for line in world.erased())
    assert world.hook.seen == []


def test_the_secret_is_in_no_row_and_changes_with_the_webhook() -> None:
    world = Told(200)
    _, first = world.webhooks.put(PROJECT, URL, 1)
    _, second = world.webhooks.put(PROJECT, URL, 2)
    rows = str(world.requests.rows)
    assert first != second
    for secret in (first, second):
        raw = base64.b64decode(secret.removeprefix("whsec_"))
        assert len(raw) == 32
        assert repr(raw)[2:-1] not in rows
    other, _ = world.webhooks.put("projectB", URL, 1)
    assert world.webhooks.key(other) != world.webhooks.key(other.__class__(PROJECT, URL, other.nonce, 1))


class Api:
    """The routes, called with a project's key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = Told(200)
        monkeypatch.setattr(
            privacy.handler._webhooks, "made", Recipients(self.world.webhooks, Outbound(), self.world.clock)
        )

    def call(self, method: str, body: Any = None, outcome: str = "ok", project: str = PROJECT) -> tuple[int, Any]:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        authorizer = Verdict(project, "k1", outcome=outcome).to_context()
        context = {"requestId": "r", "authorizer": authorizer}
        event = {"httpMethod": method, "path": PATH, "headers": {}, "requestContext": context, "body": text}
        answer = handler({**event, "queryStringParameters": None, "isBase64Encoded": False}, None)
        return answer["statusCode"], json.loads(answer["body"])


def test_a_project_sets_shows_and_ends_its_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(monkeypatch)
    assert api.call("GET") == (200, {"object": "privacy.recipients", "webhook_url": None})
    status, made = api.call("PUT", {"webhook_url": URL})
    assert (status, made["webhook_url"], made["secret"][:6]) == (200, URL, "whsec_")
    _, shown = api.call("GET")
    assert (shown["webhook_url"], "secret" in shown) == (URL, False)
    assert api.call("GET", project="projectB")[1]["webhook_url"] is None
    assert api.call("DELETE")[1]["webhook_url"] is None
    assert api.call("GET")[1]["webhook_url"] is None
    assert api.call("PUT", {"webhook_url": URL}, outcome="insufficient_scope")[0] == 403


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "invalid_json"),
        ("[" * 3000, "invalid_json"),
        ("[]", "invalid_type"),
        ({}, "invalid_type"),
        ({"webhook_url": 7}, "invalid_type"),
        ({"webhook_url": URL, "canary": 1}, "invalid_type"),
        ({"webhook_url": "http://canary.example.org/"}, "invalid_value"),
        ({"webhook_url": "https://169.254.169.254/"}, "invalid_value"),
        ({"webhook_url": "https://localhost/"}, "invalid_value"),
        ({"webhook_url": "http://127.0.0.1:9001/"}, "invalid_value"),
        ("x" * 5000, "request_too_large"),
    ],
)
def test_a_webhook_leads_to_a_public_server_or_is_none(
    monkeypatch: pytest.MonkeyPatch, body: Any, expected: str
) -> None:
    api = Api(monkeypatch)
    status, refused = api.call("PUT", body)
    assert status in (400, 413)
    assert refused["error"]["code"] == expected
    assert "canary" not in str(refused)
    assert api.world.requests.rows == {}
