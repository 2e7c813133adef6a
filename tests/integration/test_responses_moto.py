"""Responses and conversations on the real template in moto: what each costs in calls, and bodies of any size."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from chatapi.aws.client import AwsClient
from tests.support.deployed import InProcess
from tests.support.scripted_answers import Script

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
CHAT = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}]}
ASK = {"model": "smollm2-135m", "input": "Hi"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The calls to AWS by operation."""
    made: Counter[str] = Counter()
    real = AwsClient.call

    def counting(self: AwsClient, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        made[operation] += 1
        return real(self, operation, payload)

    monkeypatch.setattr(AwsClient, "call", counting)
    return made


def run(functions: InProcess, key: str, method: str, resource: str, body: Any = None, **path: str) -> Any:
    status, _, answer = functions.run(key, method, resource, body, **path)
    assert status == 200, answer
    return json.loads(answer)


def test_an_unstored_response_costs_what_an_unstored_chat_costs(functions: InProcess, calls: Counter[str]) -> None:
    # given warm functions
    _, key = functions.project()
    for resource, body in (("/v1/chat/completions", CHAT), (RESPONSES, ASK)):
        run(functions, key, "POST", resource, body)
        # when
        calls.clear()
        run(functions, key, "POST", resource, body)
        # then: admission, settlement, the day row
        assert calls == {"UpdateItem": 3}


def test_what_storing_and_continuing_cost(functions: InProcess, calls: Counter[str]) -> None:
    # given a warm function that knows the subject's key
    _, key = functions.project()
    first = run(functions, key, "POST", RESPONSES, {**ASK, "store": True})
    # when it is stored: beside those three the Vault before and after, and one batch of response and locator
    calls.clear()
    second = run(functions, key, "POST", RESPONSES, {**ASK, "store": True, "previous_response_id": first["id"]})
    # then the one before cost a locator, the Vault, and the response; and a top-up, since its tokens go along
    assert calls == {"UpdateItem": 4, "GetItem": 5, "BatchWriteItem": 1}
    # and a further link of the chain costs one read
    calls.clear()
    run(functions, key, "POST", RESPONSES, {**ASK, "previous_response_id": second["id"]})
    assert calls == {"UpdateItem": 4, "GetItem": 4}


def test_bodies_of_any_size_come_back_whole(functions: InProcess) -> None:
    # given an input and an item above what a DynamoDB item holds
    _, key = functions.project(tpm=10**8, rpm=1000)
    long = "x" * 900_000
    upstream = functions.stack.upstream
    upstream.script(Script(pieces=("a", "b")))
    first = run(functions, key, "POST", RESPONSES, {**ASK, "input": long, "store": True})
    items = run(functions, key, "GET", RESPONSES + "/{id}/input_items", id=first["id"])
    assert items["data"][0]["content"][0]["text"] == long
    # and many items, in their order
    made = run(functions, key, "POST", CONVERSATIONS, {"items": [{"role": "user", "content": long}]})
    for start in range(0, 120, 20):
        batch = [{"role": "user", "content": str(n)} for n in range(start, start + 20)]
        run(functions, key, "POST", CONVERSATIONS + "/{id}/items", {"items": batch}, id=made["id"])
    # then the model is told all of it
    run(functions, key, "POST", RESPONSES, {**ASK, "conversation": made["id"]})
    said = [message["content"] for message in upstream.requests[-1].body["messages"]]
    assert said == [long, *map(str, range(120)), "Hi"]
    # and nothing is left of it when it goes
    run(functions, key, "DELETE", CONVERSATIONS + "/{id}", id=made["id"])
    run(functions, key, "DELETE", RESPONSES + "/{id}", id=first["id"])
    status, _, _ = functions.run(key, "GET", CONVERSATIONS + "/{id}", id=made["id"])
    assert status == 404


def test_a_page_is_no_larger_than_a_request(functions: InProcess) -> None:
    # given items of 2 MB
    _, key = functions.project(tpm=10**8, rpm=1000)
    made = run(functions, key, "POST", CONVERSATIONS)
    for name in "abc":
        batch = [{"role": "user", "content": name * 2_000_000}]
        run(functions, key, "POST", CONVERSATIONS + "/{id}/items", {"items": batch}, id=made["id"])
    # then a page has fewer than were asked for, and says that there are more
    page = run(functions, key, "GET", CONVERSATIONS + "/{id}/items", id=made["id"])
    assert [item["content"][0]["text"][0] for item in page["data"]] == ["c", "b"]
    assert page["has_more"]
    # and a model is not given what no request could hold
    status, _, refused = functions.run(key, "POST", RESPONSES, {**ASK, "conversation": made["id"]})
    assert (status, json.loads(refused)["error"]["code"]) == (400, "context_length_exceeded")
