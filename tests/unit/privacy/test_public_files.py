"""Story: what is public at /.well-known/ is what its standards ask for."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from chatapi.errors import NotFound
from privacy.handler import handler
from privacy.public_files import security_txt


def get(path: str) -> tuple[int, dict[str, list[str]], str]:
    """An open route, as API Gateway calls the function."""
    context = {"requestId": "req-1", "domainName": "api.example", "path": "/live" + path, "httpMethod": "GET"}
    event: dict[str, Any] = {"httpMethod": "GET", "path": path, "resource": path, "headers": {}, "body": None}
    event |= {"queryStringParameters": None, "isBase64Encoded": False, "requestContext": context}
    answer = handler(event, object())
    return answer["statusCode"], answer["multiValueHeaders"], answer["body"]


def test_gpc_is_said_to_be_honoured_with_a_date() -> None:
    status, headers, body = get("/.well-known/gpc.json")
    found = json.loads(body)
    assert (status, headers["content-type"]) == (200, ["application/json"])
    assert set(found) == {"gpc", "lastUpdate"}
    assert found["gpc"] is True
    assert date.fromisoformat(found["lastUpdate"])


def test_security_txt_has_what_rfc_9116_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITY_CONTACT", "mailto:security@example.com")
    status, headers, body = get("/.well-known/security.txt")
    assert (status, headers["content-type"]) == (200, ["text/plain; charset=utf-8"])
    fields = [line.split(": ", 1) for line in body.splitlines()]
    names = [name for name, _ in fields]
    assert names.count("Expires") == names.count("Preferred-Languages") == 1  # sections 2.5.5 and 2.5.8: once
    told = dict(fields)
    assert told["Contact"] == "mailto:security@example.com"
    assert told["Canonical"] == "https://api.example/live/.well-known/security.txt"
    ends = datetime.fromisoformat(told["Expires"].replace("Z", "+00:00"))
    assert ends.tzinfo == UTC


def test_without_a_contact_there_is_no_file() -> None:
    with pytest.raises(NotFound):
        security_txt("", "https://api.example")
    assert get("/.well-known/security.txt")[0] == 404
