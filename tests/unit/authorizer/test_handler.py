"""The authorizer's entry point: what API Gateway gets, and what the log gets of a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

import authorizer.handler as entry
from authorizer.service import Authorizer
from chatapi.clock import FixedClock
from chatapi.verdict import Verdict, estimate
from tests.support.fake_projects import FakeProjects
from tests.unit.authorizer.test_decide import KEY, MINT, PEPPER, project


@pytest.fixture(name="store")
def wired_store(monkeypatch: pytest.MonkeyPatch) -> FakeProjects:
    store = FakeProjects(project())
    made = Authorizer(store, table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=FixedClock())
    monkeypatch.setattr(entry._service, "made", made)
    return store


def ask(headers: dict[str, str]) -> dict[str, Any]:
    arn = "arn:aws:execute-api:eu-central-1:1:api/live/POST/v1/chat/completions"
    event = {"httpMethod": "POST", "resource": "/v1/chat/completions", "methodArn": arn, "headers": headers}
    return entry.handler({**event, "requestContext": {"requestId": "req-1"}}, None)


@pytest.mark.parametrize("names", [("Authorization", "Content-Length"), ("AUTHORIZATION", "content-length")])
def test_header_names_count_in_any_case(store: FakeProjects, names: tuple[str, str]) -> None:
    answer = ask({names[0]: f"Bearer {KEY}", names[1]: "400"})
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert Verdict.from_context(answer["context"]).reserved == estimate(400)
    assert len(store.calls) == 1


@pytest.mark.parametrize("length", ["-5", "0x10", "1e3", "9" * 40, ""])
def test_a_length_that_is_none_counts_as_a_full_body(store: FakeProjects, length: str) -> None:
    store.items["p#project1"]["tpm"] = 10**7
    answer = ask({"authorization": f"Bearer {KEY}", "content-length": length})
    assert Verdict.from_context(answer["context"]).reserved == estimate(None)


def test_a_bad_key_is_the_one_text_that_api_gateway_maps(store: FakeProjects) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ask({"authorization": "Bearer x"})
    assert store.calls == []


def test_a_fault_lets_nobody_in_and_is_logged_with_awss_code(
    store: FakeProjects, capsys: pytest.CaptureFixture[str]
) -> None:
    store.down = True
    with pytest.raises(RuntimeError, match=r"^authorizer failed$"):
        ask({"authorization": f"Bearer {KEY}", "x-secret": "canary"})
    text = capsys.readouterr().out
    line = json.loads(text)
    assert (line["event"], line["code"], line["request_id"]) == ("authorizer_failed", "Timeout", "req-1")
    assert KEY not in text
    assert "canary" not in text
