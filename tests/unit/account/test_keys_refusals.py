"""What the self-service of keys refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from chatapi.aws.errors import AwsUnavailable
from chatapi.store.items import Item
from chatapi.verdict import ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE
from tests.unit.account.api import KEYS, Api, refusal


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("", "invalid_json", None),
        ('{"name": "\\ud800", "scopes": ["chat"]}', "invalid_json", None),
        ({"scopes": ["chat"]}, "missing_required_parameter", "name"),
        ({"name": "n"}, "missing_required_parameter", "scopes"),
        ({"name": 5, "scopes": ["chat"]}, "invalid_type", "name"),
        ({"name": "", "scopes": ["chat"]}, "invalid_value", "name"),
        ({"name": "x" * 65, "scopes": ["chat"]}, "invalid_value", "name"),
        ({"name": "a\x1b[2J", "scopes": ["chat"]}, "invalid_value", "name"),
        ({"name": "n", "scopes": []}, "empty_array", "scopes"),
        ({"name": "n", "scopes": ["chat", "root"]}, "invalid_value", "scopes[1]"),
        ({"name": "n", "scopes": ["chat"], "canary": 1}, "unknown_parameter", None),
        ({"name": "n", "scopes": ["chat"], "expires_at": 5}, "invalid_value", "expires_at"),
        ({"name": "n", "scopes": ["chat"], "expires_at": 1.5}, "invalid_type", "expires_at"),
        ({"name": "n", "scopes": ["chat"], "expires_at": 10**12}, "invalid_value", "expires_at"),
        ({"name": "n", "scopes": ["chat"], "models": []}, "empty_array", "models"),
        ({"name": "n", "scopes": ["chat"], "models": ["a b"]}, "invalid_value", "models[0]"),
        ({"name": "n", "scopes": ["chat"], "models": ["a"] * 9}, "invalid_value", "models"),
        ({"name": "n", "scopes": ["chat"], "retention": "history"}, "invalid_value", "retention"),
        ({"name": "n", "scopes": ["chat"], "cidrs": ["10.0.0.1/8"]}, "invalid_value", "cidrs[0]"),
        ({"name": "n", "scopes": ["chat"], "cidrs": ["10.0.0.0/8", "fe80::%eth0/64"]}, "invalid_value", "cidrs[1]"),
        ({"name": "n", "scopes": ["chat"], "cidrs": ["10.0.0.1"]}, "invalid_value", "cidrs[0]"),
        ([], "invalid_type", None),
    ],
)
def test_a_body_that_is_not_right_is_told_where(api: Api, body: Any, code: str, param: str | None) -> None:
    assert refusal(api.call("POST", KEYS, body)) == (400, code, param)
    assert len(api.projects.keys(api.project)) == 1


@pytest.mark.parametrize("overlap", [-1, 604_801, "60", True])
def test_an_overlap_outside_is_refused(api: Api, overlap: Any) -> None:
    status, _, param = refusal(api.call("POST", f"{KEYS}/k1/rotate", {"overlap_seconds": overlap}))
    assert (status, param) == (400, "overlap_seconds")


def test_a_body_above_16_kib_is_refused(api: Api) -> None:
    assert refusal(api.call("POST", KEYS, " " * (16 * 1024 + 1))) == (413, "request_too_large", None)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (INSUFFICIENT_SCOPE, "insufficient_scope"),
        (ADDRESS_NOT_ALLOWED, "address_not_allowed"),
        ("new", "insufficient_scope"),
    ],
)
def test_a_verdict_that_is_not_ok_opens_nothing(api: Api, outcome: str, code: str) -> None:
    for method, path in (
        ("GET", KEYS),
        ("POST", KEYS),
        ("GET", KEYS + "/k1"),
        ("POST", KEYS + "/k1/rotate"),
        ("DELETE", KEYS + "/k1"),
    ):
        assert refusal(api.call(method, path, outcome=outcome)) == (403, code, None)
    assert "k_k1" in api.item


@pytest.mark.parametrize("kid", ["zz", "k12345", "..", "%00", "k_k1"])
def test_an_unknown_key_is_not_found(api: Api, kid: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert refusal(api.call(method, f"{KEYS}/{kid}{path}")) == (404, "not_found", None)


def test_a_store_that_is_down_is_a_503(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def down(pk: str) -> Item:
        raise AwsUnavailable("Timeout")

    monkeypatch.setattr(api.projects, "_item", down)
    assert refusal(api.create(name="canary")) == (503, "service_unavailable", None)
    assert "canary" not in capsys.readouterr().out
