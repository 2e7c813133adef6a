"""What the data-rights API refuses: in fixed texts, with nothing that was sent and no sign of what others have."""

from __future__ import annotations

from typing import Any

import pytest

from chatapi.aws.errors import AwsUnavailable
from tests.unit.privacy.api import ERASURE, REQUESTS, Api, code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, (400, "invalid_json", None)),
        ("", (400, "invalid_json", None)),
        ("{", (400, "invalid_json", None)),
        ('{"type": "erasure", "subject": {"user": "\\ud800"}}', (400, "invalid_json", None)),
        ("\ud800", (400, "invalid_json", None)),
        ("[" * 8000, (400, "invalid_json", None)),
        ("[]", (400, "invalid_type", None)),
        ("null", (400, "invalid_type", None)),
        ({}, (400, "missing_required_parameter", "type")),
        ({"type": "erasure"}, (400, "missing_required_parameter", "subject")),
        ({"type": 1, "subject": {"user": "x"}}, (400, "invalid_type", "type")),
        ({"type": "erasure", "subject": "x"}, (400, "invalid_type", "subject")),
        ({"type": "erasure", "subject": {}}, (400, "invalid_value", "subject")),
        ({"type": "erasure", "subject": {"user": "x", "owner": True}}, (400, "invalid_value", "subject")),
        ({"type": "erasure", "subject": {"user": None}}, (400, "invalid_type", "subject.user")),
        ({"type": "erasure", "subject": {"user": 7}}, (400, "invalid_type", "subject.user")),
        ({"type": "erasure", "subject": {"user": ""}}, (400, "invalid_value", "subject.user")),
        ({"type": "erasure", "subject": {"user": "x" * 513}}, (400, "invalid_value", "subject.user")),
        ({"type": "erasure", "subject": {"owner": False}}, (400, "invalid_value", "subject.owner")),
        ({"type": "erasure", "subject": {"owner": 1}}, (400, "invalid_type", "subject.owner")),
        ({"type": "erasure", "subject": {"owner": None}}, (400, "invalid_type", "subject.owner")),
        ({"type": "erasure", "subject": {"user": "x"}, "alice": 1}, (400, "unknown_parameter", None)),
        ({"type": "erasure", "subject": {"user": "x", "alice": 1}}, (400, "unknown_parameter", "subject")),
        ({"type": "erasure", "subject": {"user": "x" * 20_000}}, (413, "request_too_large", None)),
        *(
            ({"type": right, "subject": {"user": "x"}}, (400, "unsupported_type", "type"))
            for right in ("rectification", "alice", "")
        ),
    ],
)
def test_refusals_name_the_field_and_quote_nothing(api: Api, body: Any, expected: tuple[int, str, str | None]) -> None:
    answer = api.call("POST", REQUESTS, body)
    assert code(answer) == expected
    assert "alice" not in str(answer)
    assert api.world.requests.rows == {}


def test_a_wrong_selector_is_told_what_a_right_one_is(api: Api) -> None:
    _, body = api.call("POST", REQUESTS, {"type": "erasure", "subject": {"user": "x", "owner": True}})
    assert body["error"]["message"] == "Select with exactly one of user and owner."


@pytest.mark.parametrize(
    ("name", "entries", "said"),
    [
        ("changes", [{"record": "dsr_1", "path": "/x", "value": "alice"}], "no text that can be corrected"),
        ("changes", [{"record": "contact", "path": "/address", "value": "a@example.com"}] * 21, "at most 20 changes"),
        ("statements", [{"record": "msg_1", "text": "alice"}], "beside a completion, a response or a conversation"),
        ("statements", [{"record": "conv_1", "text": "alice"}] * 21, "at most 20 statements"),
    ],
)
def test_a_change_that_cannot_be_made_is_told_what_can(api: Api, name: str, entries: list[Any], said: str) -> None:
    right = {"changes": "correction", "statements": "completion"}[name]
    _, body = api.call("POST", REQUESTS, {"type": right, "subject": {"user": "x"}, name: entries})
    assert said in body["error"]["message"]
    assert "alice" not in str(body)


@pytest.mark.parametrize("path", ["", "/dsr_" + "1" * 24, "/dsr_" + "1" * 24 + "/certificate"])
def test_without_the_scope_nothing_is_looked_at(api: Api, path: str) -> None:
    assert code(api.call("GET", REQUESTS + path, outcome="insufficient_scope"))[:2] == (403, "insufficient_scope")
    assert code(api.call("POST", REQUESTS, "{", outcome="insufficient_scope"))[:2] == (403, "insufficient_scope")


@pytest.mark.parametrize("method_and_tail", [("GET", ""), ("POST", "/cancel"), ("GET", "/certificate")])
def test_foreign_and_unknown_requests_look_the_same(api: Api, method_and_tail: tuple[str, str]) -> None:
    method, tail = method_and_tail
    name = api.create()
    foreign = api.call(method, f"{REQUESTS}/{name}{tail}", project="projectB")
    assert code(foreign) == (404, "not_found", None)
    for unknown in ("dsr_" + "0" * 24, "nonsense", "a b", "r%23x"):
        assert api.call(method, f"{REQUESTS}/{unknown}{tail}") == foreign


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": "²"}, {"after": "x"}])
def test_bad_pages_are_refused(api: Api, query: dict[str, str]) -> None:
    assert code(api.call("GET", REQUESTS, query=query)) == (400, "invalid_value", next(iter(query)))


@pytest.mark.parametrize("key", ["", "k" * 65, "a b", "é"])
def test_a_bad_idempotency_key_is_refused(api: Api, key: str) -> None:
    expected = (400, "invalid_value", "idempotency-key")
    assert code(api.call("POST", REQUESTS, ERASURE, idempotency_key=key)) == expected


@pytest.mark.parametrize("method_and_path", [("GET", "/nowhere"), ("DELETE", REQUESTS), ("PUT", "/health")])
def test_unknown_routes_take_the_one_shape(api: Api, method_and_path: tuple[str, str]) -> None:
    assert code(api.call(*method_and_path)) == (404, "not_found", None)


def test_a_fault_of_ours_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("alice@example.com")

    monkeypatch.setattr(api.rights, "create", broken)
    answer = api.call("POST", REQUESTS, ERASURE)
    assert code(answer) == (500, "internal_error", None)
    assert "alice" not in str(answer) + "".join(capsys.readouterr())


def test_a_store_that_does_not_answer_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> None:
        raise AwsUnavailable("Timeout")

    monkeypatch.setattr(api.rights, "get", away)
    assert code(api.call("GET", f"{REQUESTS}/dsr_{'1' * 24}"))[:2] == (503, "service_unavailable")
