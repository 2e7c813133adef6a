"""Consents through the real template: over the authorizer, in DynamoDB's own conditions, and through an erasure."""

from __future__ import annotations

import json
from typing import Any

from chatapi.keys import SCOPES
from tests.support.deployed import InProcess, erase

PATH = "/v1/privacy/consents"
WHO = {"subject": {"user": "alice@example.com"}}


def test_choices_are_revisioned_and_an_erasure_leaves_the_objection_alone(functions: InProcess) -> None:
    # given
    project, key = functions.project(scopes=SCOPES)

    def call(path: str, body: Any) -> tuple[int, Any]:
        status, _, answer = functions.run(key, "POST", path, body)
        return status, json.loads(answer)

    def choose(purpose: str, state: str) -> dict[str, Any]:
        status, receipt = call(PATH, {**WHO, "purpose": purpose, "state": state})
        assert status == 200, receipt
        assert receipt["record"]["event_state"] == state
        return dict(receipt)

    def chosen() -> dict[str, tuple[bool, list[str]]]:
        return {
            one["purpose"]: (
                one["allowed"],
                [event["entity_id"] for event in one["record"]["events"]] if one["record"] else [],
            )
            for one in call(PATH + "/query", WHO)[1]["data"]
        }

    # when somebody agrees, agrees again, objects, and agrees to something else
    first = choose("marketing", "granted")
    assert choose("marketing", "granted") == first
    assert choose("marketing", "withdrawn")["receipt_id"] == first["record"]["record_id"] + ".2"
    choose("analytics", "granted")
    assert call(PATH, {**WHO, "purpose": "security", "state": "withdrawn"})[0] == 400
    # then
    twice = ["project", "project"]
    assert chosen() == {"analytics": (True, ["project"]), "improvement": (False, []), "marketing": (False, twice)}
    # and after an erasure the objection stands, what was granted does not, until it is granted again
    status, created = call("/v1/privacy/requests", {"type": "erasure", **WHO})
    assert status == 202
    erase(created["id"], project)
    ended = ["project", "erasure"]
    assert chosen() == {"analytics": (False, ended), "improvement": (False, []), "marketing": (False, twice)}
    assert choose("analytics", "granted")["record"]["revision"] == 3
    assert chosen()["analytics"][0] is True


def test_a_key_without_the_scope_is_refused(functions: InProcess) -> None:
    _, key = functions.project(scopes=("chat",))
    for path in (PATH, PATH + "/query"):
        assert functions.run(key, "POST", path, WHO)[0] == 403
