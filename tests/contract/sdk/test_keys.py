"""Self-service of keys over the wire: made, used with the SDK, rotated, restricted, revoked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from chatapi.keys import SCOPES
from tests.contract.sdk.asking import chat, shape
from tests.support.live_stack import MODEL, Live
from tests.support.scripted_upstream import ScriptedUpstream

APP = {"name": "app", "scopes": ["chat"]}


@pytest.fixture
def keys(live: Live) -> Iterator[httpx.Client]:
    """What a developer's tool is: the key of a project of its own, with every scope."""
    headers = {"authorization": "Bearer " + live.project(scopes=SCOPES).api_key}
    with httpx.Client(base_url=live.base_url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def created(keys: httpx.Client, **fields: Any) -> Any:
    answer = keys.post("/keys", json={**APP, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ask(live: Live, key: str, **changes: Any) -> str | None:
    """A chat with a key: its text."""
    with OpenAI(base_url=live.base_url, api_key=key, max_retries=0) as client:
        return chat(client, **changes).choices[0].message.content


def refused(live: Live, key: str, **changes: Any) -> tuple[int, str | None, str | None, str | None]:
    with pytest.raises(openai.APIStatusError) as refusal:
        ask(live, key, **changes)
    return shape(refusal.value)


def test_the_life_of_a_key(live: Live, keys: httpx.Client, upstream: ScriptedUpstream) -> None:
    made = created(keys)
    assert ask(live, made["key"])
    fresh = keys.post(f"/keys/{made['id']}/rotate", json={"overlap_seconds": 600}).json()
    assert ask(live, made["key"])
    assert ask(live, fresh["key"])
    # with no overlap the old one ends at once
    last = keys.post(f"/keys/{fresh['id']}/rotate", json={"overlap_seconds": 0}).json()
    assert refused(live, fresh["key"]) == (401, "invalid_request_error", "invalid_api_key", None)
    assert ask(live, last["key"])
    assert keys.delete(f"/keys/{last['id']}").json() == {"id": last["id"], "object": "api_key.deleted", "deleted": True}
    assert refused(live, last["key"]) == (401, "invalid_request_error", "invalid_api_key", None)
    shown = keys.get("/keys")
    assert {key["id"] for key in shown.json()["data"]} == {"k1", made["id"]}
    assert made["key"] not in shown.text
    assert keys.get(f"/keys/{made['id']}").json()["expires_at"] is not None


def test_a_key_for_one_model_and_one_address(live: Live, keys: httpx.Client, upstream: ScriptedUpstream) -> None:
    one = created(keys, models=["another"], cidrs=["127.0.0.0/8"])
    assert refused(live, one["key"]) == (404, "invalid_request_error", "model_not_found", "model")
    here = created(keys, models=[MODEL], cidrs=["127.0.0.0/8", "::1/128"], retention="none")
    assert ask(live, here["key"])
    assert refused(live, here["key"], store=True) == (403, "permission_error", "retention_not_permitted", "store")
    elsewhere = created(keys, cidrs=["192.0.2.0/24"])
    assert refused(live, elsewhere["key"]) == (403, "permission_error", "address_not_allowed", None)
    assert len(upstream.requests) == 1


def test_errors_have_the_one_shape(live: Live, keys: httpx.Client) -> None:
    narrow = {"authorization": "Bearer " + created(keys, scopes=["keys"])["key"]}
    for _ in range(6):
        created(keys)
    asked: list[tuple[httpx.Response, int, str, str | None]] = [
        (keys.post("/keys", json={**APP, "name": 1}), 400, "invalid_type", "name"),
        (keys.post("/keys", json=APP, headers=narrow), 403, "exceeds_own_key", "scopes"),
        (keys.post("/keys", json=APP), 409, "too_many_keys", None),
        (keys.get("/keys/--"), 404, "not_found", None),
        (keys.delete("/keys/--"), 404, "not_found", None),
    ]
    for answer, status, code, param in asked:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
        assert answer.headers["x-request-id"]
        assert answer.headers["privacy-policy-version"]
    with_chat = {"authorization": "Bearer " + live.project(scopes=["chat"]).api_key}
    assert keys.get("/keys", headers=with_chat).json()["error"]["code"] == "insufficient_scope"
