"""Signals through the real template: a refused request leaves a row without its address, one that succeeds none."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import authorizer.handler
from chatapi.store.signals import every_row, live_signals
from tests.support.deployed import InProcess

CANARY = "203.0.113.99"


def test_a_refused_request_is_counted_and_its_address_is_in_no_store(
    functions: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client, table = functions.stack.client("dynamodb"), functions.stack.outputs["SignalsTable"]
    monkeypatch.setattr("chatapi.signals.FLUSH_SECONDS", 0.0)
    _, key = functions.project(scopes=["history"])

    def authorize(token: str, resource: str) -> None:
        event: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {token}", "User-Agent": "odd-canary/1"},
            "httpMethod": "GET",
            "resource": resource,
            "methodArn": "arn:aws:execute-api:x:1:api/live/GET/",
            "requestContext": {"requestId": "r", "identity": {"sourceIp": CANARY}},
        }
        with contextlib.suppress(Exception):  # of a forged key: what API Gateway maps to its 401
            authorizer.handler.handler(event, None)

    # given a request that succeeds: no row
    authorize(key, "/v1/chat/completions/{id}")
    assert list(every_row(client, table)) == []
    # when a forged key and one without the scope are refused
    authorize("chatapi_live_forged", "/v1/models")
    authorize(key, "/v1/models")
    # then one row counts both
    rows = list(every_row(client, table))
    (signal,) = live_signals(rows, 0)
    assert signal["failures"] == {"unauthorized": 1, "forbidden": 1}
    assert signal["clients"] == {"other": 2}
    # and the address and the client's string are nowhere: no table, no log line
    everything = repr(rows) + capsys.readouterr().out
    for name in ("ProjectsTable", "RecordsTable", "RequestsTable", "LedgerTable"):
        everything += repr(list(every_row(client, functions.stack.outputs[name])))
    assert CANARY not in everything
    assert "odd-canary" not in everything
