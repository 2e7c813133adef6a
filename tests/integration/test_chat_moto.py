"""A chat through authorizer and chat function against the real template: keys, limits, storage, settlement."""

from __future__ import annotations

import json

import pytest

from tests.support.deployed import InProcess
from tests.support.scripted_answers import Script

CHAT = "/v1/chat/completions"
BODY = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}]}


def item(functions: InProcess, project: str) -> dict[str, object]:
    from chatapi.aws.av import from_item

    request = {"TableName": functions.stack.outputs["ProjectsTable"], "Key": {"pk": {"S": "p#" + project}}}
    return from_item(functions.stack.client("dynamodb").call("GetItem", request)["Item"])


@pytest.mark.parametrize("model", ["smollm2-135m"])
def test_a_chat_is_answered_stored_retrieved_and_settled(functions: InProcess, model: str) -> None:
    # given a project with history
    project, key = functions.project()
    # when a chat is created with store: true
    status, headers, body = functions.run(key, "POST", CHAT, {**BODY, "model": model, "store": True, "user": "u"})
    # then it is answered, with everything a client reads in the headers
    assert status == 200, body
    done = json.loads(body)
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["data-handling"].startswith("retained=content; until=")
    # and retrieved by its own project alone
    assert functions.run(key, "GET", CHAT + "/{id}", id=done["id"])[0] == 200
    _, foreign = functions.project()
    assert functions.run(foreign, "GET", CHAT + "/{id}", id=done["id"])[0] == 404
    # and found by its metadata once that is given
    status, _, body = functions.run(key, "POST", CHAT + "/{id}", {"metadata": {"topic": "x"}}, id=done["id"])
    assert (status, json.loads(body)["metadata"]) == (200, {"topic": "x"})
    assert functions.run(key, "POST", CHAT + "/{id}", {"metadata": {}}, id=done["id"])[0] == 200
    # and just what was used is debited, the slot is free
    state = item(functions, project)
    assert "inf" not in state
    assert {100_000 - v for k, v in state.items() if k.startswith("t0_")} == {done["usage"]["total_tokens"]}


def test_a_chat_that_is_sent_twice_under_one_key_is_generated_once(functions: InProcess) -> None:
    _, key = functions.project()
    once, asked = {"Idempotency-Key": "k"}, len(functions.stack.upstream.requests)
    stored = {**BODY, "store": True}
    first = functions.run(key, "POST", CHAT, stored, headers=once)
    second = functions.run(key, "POST", CHAT, stored, headers=once)
    assert (first[0], second[0]) == (200, 200)
    assert first[2] == second[2]
    assert second[1]["idempotency-replayed"] == "true"
    other = functions.run(key, "POST", CHAT, BODY, headers=once)
    assert (other[0], json.loads(other[2])["error"]["code"]) == (409, "idempotency_key_reused")
    # without storing, nothing is replayed and the key is free again
    again = {"idempotency-key": "of another chat"}
    assert [functions.run(key, "POST", CHAT, BODY, headers=again)[0] for _ in range(2)] == [200, 200]
    assert len(functions.stack.upstream.requests) == asked + 3


def test_requests_above_the_limit_are_refused(functions: InProcess) -> None:
    _, key = functions.project(rpm=2)
    assert [functions.run(key, "GET", "/v1/models")[0] for _ in range(4)] == [200, 200, 429, 429]


def test_an_unknown_model_an_oversize_body_and_a_refusing_upstream_leave_nothing_behind(functions: InProcess) -> None:
    project, key = functions.project()
    assert functions.run(key, "POST", CHAT, {**BODY, "model": "x"})[0] == 404
    assert functions.run(key, "POST", CHAT, "x", headers={"Content-Length": str(5 * 2**20)})[0] == 413
    functions.stack.upstream.script(Script(status=500))
    assert functions.run(key, "POST", CHAT, BODY)[0] == 503
    state = item(functions, project)
    assert "inf" not in state
    assert {v for k, v in state.items() if k.startswith("t0_")} == {100_000}


def test_a_revoked_key_is_refused_at_once(functions: InProcess) -> None:
    project, key = functions.project()
    assert functions.run(key, "GET", "/v1/models")[0] == 200
    functions.stack.client("dynamodb").call(
        "UpdateItem",
        {
            "TableName": functions.stack.outputs["ProjectsTable"],
            "Key": {"pk": {"S": "p#" + project}},
            "UpdateExpression": "REMOVE k_k1",
        },
    )
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        functions.run(key, "GET", "/v1/models")
