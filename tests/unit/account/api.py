"""The self-service of keys as its tests call it: the real handler over a table in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

import account.handler
from account.service import Keys, Services
from account.usage import Usage
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.grants import Grant
from chatapi.keys import SCOPES
from chatapi.store.items import Item, MemoryTable
from chatapi.store.projects import Limits, Projects
from chatapi.store.usage import UsageRows
from chatapi.verdict import Verdict

MINT, PEPPER = b"m" * 32, b"p" * 32
KEYS = "/v1/keys"


DAY = 86_400


class Api:
    """The handler, its service, a project whose first key, `k1`, has every scope."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self.clock = MemoryTable(None), FixedClock()
        self.projects = Projects(Catalogued(self.table, "projects"), mint=MINT, pepper=PEPPER, clock=self.clock)
        self.project, _ = self.projects.create("n", Limits(), region="eu-central-1", scopes=SCOPES)
        usage = Usage(UsageRows(Catalogued(self.table, "projects")), self.clock)
        monkeypatch.setattr(account.handler._composed, "made", Services(Keys(self.projects, self.clock), usage))

    @property
    def now(self) -> int:
        return int(self.clock.now())

    @property
    def item(self) -> Item:
        return self.table.rows["p#" + self.project, None]

    def maker(self, grant: Grant) -> str:
        """A key with the scope `keys` and this grant; its id."""
        return self.projects.add_key(self.project, grant)[1].kid

    def call(self, method: str, path: str, body: Any = None, *, kid: str = "k1", outcome: str = "ok") -> Any:
        event = {
            "httpMethod": method,
            "path": path,
            "resource": path,
            "headers": {},
            "queryStringParameters": None,
            "requestContext": {
                "requestId": "req-1",
                "authorizer": Verdict(self.project, kid, outcome=outcome).to_context(),
            },
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = account.handler.handler(event, None)
        assert answer["multiValueHeaders"]["x-request-id"] == ["req-1"]
        assert answer["multiValueHeaders"]["cache-control"] == ["no-store"]
        assert answer["multiValueHeaders"]["content-type"] == ["application/json"]
        return answer["statusCode"], json.loads(answer["body"])

    def create(self, *, kid: str = "k1", **fields: Any) -> Any:
        return self.call("POST", KEYS, {"name": "n", "scopes": ["chat"], **fields}, kid=kid)

    def made(self, **fields: Any) -> dict[str, Any]:
        status, key = self.create(**fields)
        assert status == 201, key
        return dict(key)


def refusal(answer: Any) -> tuple[int, str, str | None]:
    status, body = answer
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return status, body["error"]["code"], body["error"]["param"]
