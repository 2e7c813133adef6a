"""Choices on the real template: a flag that is flipped is obeyed by the next request of a warm function (RGT-7)."""

from __future__ import annotations

import json
from typing import Any

from chatapi.aws.av import from_item
from chatapi.keys import SCOPES
from tests.support.deployed import InProcess

CHAT = "/v1/chat/completions"
BODY = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}], "user": "alice@example.com"}


def counted(functions: InProcess) -> int:
    """Requests in the stream of patterns."""
    request = {"TableName": functions.stack.outputs["PatternsTable"], "ConsistentRead": True}
    rows = map(from_item, functions.stack.client("dynamodb").call("Scan", request)["Items"])
    return sum(row["n_requests"] for row in rows if row["kind"] == "pattern")


def test_a_choice_is_obeyed_by_the_next_request_warm_functions_too(functions: InProcess) -> None:
    project, key = functions.project(scopes=SCOPES)
    before = counted(functions)

    def choose(state: str, purpose: str = "analytics") -> None:
        who = {"subject": {"user": BODY["user"]}, "purpose": purpose, "state": state}
        assert functions.run(key, "POST", "/v1/privacy/consents", who)[0] == 200

    def chat(**more: Any) -> str:
        status, headers, body = functions.run(key, "POST", CHAT, {**BODY, **more})
        assert status == 200, body
        return headers["data-handling"]

    def written() -> int:
        return counted(functions) - before

    # given a project in which nobody chose anything: nothing is said and nothing written
    assert "purposes" not in chat()
    assert written() == 0
    # when she allows another purpose, that is not this one
    choose("granted", "marketing")
    assert "purposes" not in chat()
    # when she allows it, the next request of the same warm functions counts
    choose("granted")
    assert chat().endswith("; purposes=analytics")
    assert written() == 1
    # and somebody else's does not
    assert chat(user="bob").endswith("; purposes=none")
    # and when she withdraws, the next one does not
    choose("withdrawn")
    assert chat().endswith("; purposes=none")
    assert written() == 1
    # and the project's item has the flag and nothing else new
    request = {"TableName": functions.stack.outputs["ProjectsTable"], "Key": {"pk": {"S": "p#" + project}}}
    item = from_item(functions.stack.client("dynamodb").call("GetItem", request)["Item"])
    assert {name for name in item if name.startswith("o_")} == {"o_analytics"}


def test_a_chat_asks_for_choices_only_in_projects_that_have_any(functions: InProcess) -> None:
    import chat.handler

    _, key = functions.project(scopes=SCOPES)

    def calls() -> dict[str, int]:
        made = chat.handler._ready()
        client = made.chat._days._table._table._client  # type: ignore[attr-defined]
        client.calls.clear()
        assert functions.run(key, "POST", CHAT, BODY)[0] == 200
        return dict(client.calls)

    functions.run(key, "POST", CHAT, BODY)
    assert calls() == {"UpdateItem": 2}  # settled, and one day row; the third is the authorizer's
    who = {"subject": {"user": "somebody else"}, "purpose": "analytics", "state": "granted"}
    assert functions.run(key, "POST", "/v1/privacy/consents", who)[0] == 200
    assert calls() == {"UpdateItem": 2, "Query": 1}
    who["subject"] = {"user": BODY["user"]}
    assert functions.run(key, "POST", "/v1/privacy/consents", who)[0] == 200
    calls()  # the first one makes the day's salt
    assert calls() == {"UpdateItem": 3, "Query": 2}


def test_a_sample_is_kept_and_goes_with_the_consent(functions: InProcess) -> None:
    from chatapi.clock import SystemClock
    from chatapi.store.project_states import ProjectStates
    from privacy.choosing.handler import handler

    project, key = functions.project(scopes=SCOPES)

    def choose(state: str) -> dict[str, Any]:
        who = {"subject": {"user": BODY["user"]}, "purpose": "improvement", "state": state}
        status, _, body = functions.run(key, "POST", "/v1/privacy/consents", who)
        assert status == 200, body
        return dict(json.loads(body))

    def chat() -> str:
        status, headers, body = functions.run(key, "POST", CHAT, BODY)
        assert status == 200, body
        return headers["data-handling"]

    def samples() -> int:
        request = {"TableName": functions.stack.outputs["RecordsTable"], "ConsistentRead": True}
        rows = map(from_item, functions.stack.client("dynamodb").call("Scan", request)["Items"])
        return sum(row["kind"] == "sample" and f"#{project}#" in row["pk"] for row in rows)

    # given consent in a project that takes no part: nothing
    choose("granted")
    assert "sample" not in chat()
    assert samples() == 0
    # when it takes part, the next chat is kept
    table = functions.projects()._table
    ProjectStates(table, SystemClock()).update(project, {}, name=None, retention=None, improve=True)
    assert "; sample=redacted; sample-until=" in chat()
    assert samples() == 1
    # and the withdrawal takes it, signed
    record = choose("withdrawn")["record"]
    event = {"project": project, "subject": record["pii_principal_id"], "purpose": "improvement", "revision": 2}
    for task in ("apply", "sign", "tell"):
        handler({**event, "request": "con.2", "task": task}, None)
    assert samples() == 0
    assert choose("withdrawn")["jws"]
    assert "sample" not in chat()
    assert samples() == 0
