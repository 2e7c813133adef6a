"""The life of an API key through authorizer and account function against the real template."""

from __future__ import annotations

import base64
import importlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatapi.clock import SystemClock
from chatapi.grants import Grant
from chatapi.keys import SCOPES
from tests.support.deployed import FakeContext, InProcess, api_event

KEYS = "/v1/keys"


def call(functions: InProcess, key: str, method: str, resource: str, body: Any = None, **path: str) -> tuple[int, Any]:
    status, _, answer = functions.run(key, method, resource, body, **path)
    return status, json.loads(answer)


def opens(functions: InProcess, key: str) -> bool:
    """Whether a key is let in; what the authorizer raises otherwise is the text that API Gateway maps to a 401."""
    try:
        return call(functions, key, "GET", "/v1/models")[0] == 200
    except Exception as error:
        if str(error) != "Unauthorized":
            raise
        return False


def test_a_key_is_created_used_rotated_and_revoked(functions: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a key that may make keys
    _, maker = functions.project(scopes=SCOPES)
    # when it makes one for chats alone, then that one opens chats and no keys
    status, made = call(functions, maker, "POST", KEYS, {"name": "app", "scopes": ["chat"]})
    assert status == 201
    assert opens(functions, made["key"])
    status, refused = call(functions, made["key"], "GET", KEYS)
    assert (status, refused["error"]["code"]) == (403, "insufficient_scope")
    # when it is rotated, then both work until the overlap has passed, afterwards the new one alone
    status, fresh = call(functions, maker, "POST", KEYS + "/{id}/rotate", {"overlap_seconds": 60}, id=made["id"])
    assert status == 201
    assert opens(functions, made["key"])
    assert opens(functions, fresh["key"])
    real = SystemClock.now
    with monkeypatch.context() as later:
        later.setattr(SystemClock, "now", lambda self: real(self) + 61)
        assert not opens(functions, made["key"])
        assert opens(functions, fresh["key"])
    # when the new one is revoked, then its very next request is refused
    assert call(functions, maker, "DELETE", KEYS + "/{id}", id=fresh["id"])[0] == 200
    assert not opens(functions, fresh["key"])
    # and the list shows what is left, without a secret
    _, page = call(functions, maker, "GET", KEYS)
    assert {key["id"] for key in page["data"]} == {"k1", made["id"]}
    assert made["key"] not in json.dumps(page)


def test_what_a_key_restricts_is_enforced_where_it_is_used(functions: InProcess) -> None:
    # given a project with history, and keys for one model, for no storage, for an address that no test has
    _, maker = functions.project(scopes=SCOPES)
    made = {
        name: call(functions, maker, "POST", KEYS, {"name": name, "scopes": list(SCOPES), **fields})[1]["key"]
        for name, fields in {
            "model": {"models": ["bedrock-smollm2-135m"]},
            "retention": {"retention": "none"},
            "address": {"cidrs": ["192.0.2.0/24"]},
        }.items()
    }
    chat = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}]}
    # then each refuses just that
    status, refused = call(functions, made["model"], "POST", "/v1/chat/completions", chat)
    assert (status, refused["error"]["code"]) == (404, "model_not_found")
    _, models = call(functions, made["model"], "GET", "/v1/models")
    assert [model["id"] for model in models["data"]] == ["bedrock-smollm2-135m"]
    status, refused = call(functions, made["retention"], "POST", "/v1/chat/completions", {**chat, "store": True})
    assert (status, refused["error"]["code"]) == (403, "retention_not_permitted")
    assert call(functions, made["retention"], "POST", "/v1/chat/completions", chat)[0] == 200
    for resource in ("/v1/models", "/v1/privacy/requests", KEYS):
        status, refused = call(functions, made["address"], "GET", resource)
        assert (status, refused["error"]["code"]) == (403, "address_not_allowed")
    # and a restricted key makes no wider one
    status, refused = call(
        functions, made["model"], "POST", KEYS, {"name": "n", "scopes": ["chat"], "models": ["smollm2-135m"]}
    )
    assert (status, refused["error"]["code"], refused["error"]["param"]) == (403, "exceeds_own_key", "models")


def test_a_lost_key_is_replaced_by_the_operator_and_a_leaked_one_ends(
    functions: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a project that has lost its only key
    project, lost = functions.project()
    operator = functions.projects()
    # when the operator makes another one and revokes the lost one
    fresh, _ = operator.add_key(project, Grant(("chat", "keys")))
    operator.revoke(project, "k1")
    # then the new one opens what the lost one opened
    assert opens(functions, fresh)
    assert not opens(functions, lost)
    # and when that is found in public, and a partner says so
    partner = ec.generate_private_key(ec.SECP256R1())
    pem = partner.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    monkeypatch.setenv("LEAK_KEYS", json.dumps({"public_keys": [{"key_identifier": "id", "key": pem}]}))
    body = json.dumps([{"token": fresh, "type": "chatapi"}])
    signature = base64.b64encode(partner.sign(body.encode(), ec.ECDSA(SHA256()))).decode()
    event = api_event("POST", "/v1/leaked-keys", {}, body)
    event["headers"] = {"Github-Public-Key-Identifier": "id", "Github-Public-Key-Signature": signature}
    answer = importlib.import_module("account.leaks.handler").handler(event, FakeContext())
    assert json.loads(answer["body"])[0]["label"] == "true_positive"
    # then its very next request is refused
    assert not opens(functions, fresh)
    assert [key.reason for key in operator.keys(project)] == ["leaked"]
