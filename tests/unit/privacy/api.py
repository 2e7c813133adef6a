"""The data-rights API as its tests call it: the real handler over stores in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

import privacy.handler
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.store.cases import Case
from chatapi.verdict import Verdict
from privacy.downloads import Links
from privacy.handler import handler
from privacy.service import Rights
from tests.unit.privacy.world import PROJECT, World

PEPPER = b"p" * 86


ERASURE = {"type": "erasure", "subject": {"user": "alice@example.com"}}


REQUESTS = "/v1/privacy/requests"


class Executions:
    """Records what was started; fails where told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, str]] = []
        self.error: AwsError | None = None

    def start(self, name: str, case: Case) -> None:
        if self.error:
            raise self.error
        self.started.append((name, case.project, case.id))


class Downloads:
    """A bucket's links; `gone` once the object is not there any more."""

    gone = False

    def link(self, key: str, seconds: int) -> str | None:
        return None if self.gone else f"https://bucket.example/{key}?for={seconds}"


class Api:
    """The handler, its service and a caller's key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.executions = Executions()
        world = self.world
        self.downloads = Downloads()
        links = Links(Catalogued(world.requests, "requests"), world.cases, self.downloads, world.clock)
        self.rights = Rights(
            world.cases,
            self.executions,
            world.signer,
            world.clock,
            lambda: PEPPER,
            links=links,
            asking=world.asking,
        )
        monkeypatch.setattr(privacy.handler._service, "made", self.rights)

    def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        project: str = PROJECT,
        outcome: str = "ok",
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> dict[str, Any]:
        event = {
            "httpMethod": method,
            "path": path,
            "resource": path,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "queryStringParameters": query,
            "requestContext": {
                "requestId": "req-1",
                "domainName": "api.example",
                "path": "/live" + path,
                "authorizer": Verdict(project, "k1", outcome=outcome).to_context(),
            },
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        return handler(event, None)

    def call(self, *args: Any, **options: Any) -> tuple[int, Any]:
        answer = self.raw(*args, **options)
        assert answer["multiValueHeaders"]["x-request-id"] == ["req-1"]
        assert answer["multiValueHeaders"]["privacy-policy-version"] == ["2025-08-04"]
        assert answer["multiValueHeaders"]["content-type"] == ["application/json"]
        return answer["statusCode"], json.loads(answer["body"])

    def create(self, user: str = "alice@example.com", **options: Any) -> str:
        status, case = self.call("POST", REQUESTS, {**ERASURE, "subject": {"user": user}}, **options)
        assert status == 202
        return str(case["id"])

    def complete(self, name: str) -> None:
        self.world.erase(self.world.cases.get(PROJECT, name))


def code(answer: tuple[int, Any]) -> tuple[int, str, str | None]:
    status, body = answer
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return status, body["error"]["code"], body["error"]["param"]
