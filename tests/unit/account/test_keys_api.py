"""The self-service of keys as API Gateway calls it, over a table in memory."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import account.handler
from chatapi.grants import Grant
from chatapi.keys import check_key
from chatapi.store.projects import MAX_KEYS
from chatapi.verdict import Verdict
from tests.unit.account.api import DAY, KEYS, MINT, Api, refusal


def test_a_key_is_created_shown_once_and_kept_as_a_hash(api: Api) -> None:
    api.clock.advance(1)
    # when a key with every field is made
    fields = {"models": ["a", "b"], "retention": "none", "cidrs": ["10.0.0.0/8", "2001:DB8::/32"]}
    fields |= {"rpm": 5, "spend": 2_000_000, "redact": ["card", "email"]}
    made = api.made(name="ci ✓", scopes=["history", "chat"], expires_at=api.now + DAY, **fields)
    # then the answer names it, with the secret
    secret = made.pop("key")
    assert check_key(MINT, secret) == (api.project, made["id"])
    assert made == {
        "id": made["id"],
        "object": "api_key",
        "name": "ci ✓",
        "scopes": ["chat", "history"],
        "created_at": api.now,
        "expires_at": api.now + DAY,
        "models": ["a", "b"],
        "retention": "none",
        "cidrs": ["10.0.0.0/8", "2001:db8::/32"],
        "rpm": 5,
        "tpm": None,
        "spend": 2_000_000,
        "redact": ["email", "card"],
        "last_used_on": None,
        "revoked_at": None,
        "revoked_reason": None,
        "redacted": f"chatapi_live_{api.project}{made['id']}…",
    }
    # and never again
    assert api.call("GET", f"{KEYS}/{made['id']}") == (200, made)
    status, page = api.call("GET", KEYS)
    assert (status, page["object"], page["data"][0]["id"]) == (200, "list", "k1")
    assert made in page["data"]
    assert secret not in json.dumps(page) + repr(api.item)


@pytest.mark.parametrize(
    ("bound", "asked", "field"),
    [
        ({"scopes": ("chat", "keys")}, {"scopes": ["chat", "history"]}, "scopes"),
        ({"expires": 1_800_000_000 + DAY}, {"expires_at": 1_800_000_000 + DAY + 1}, "expires_at"),
        ({"models": ("a", "b")}, {"models": ["a", "c"]}, "models"),
        ({"cidrs": ("10.0.0.0/8",)}, {"cidrs": ["10.0.0.0/7"]}, "cidrs"),
        ({"cidrs": ("10.0.0.0/8",)}, {"cidrs": ["10.1.0.0/16", "11.0.0.0/16"]}, "cidrs"),
        ({"cidrs": ("10.0.0.0/8",)}, {"cidrs": ["::/0"]}, "cidrs"),
        ({"cidrs": ("2001:db8::/32",)}, {"cidrs": ["2001:db8::/31"]}, "cidrs"),
        ({"rpm": 5}, {"rpm": 6}, "rpm"),
        ({"tpm": 5}, {"tpm": 6}, "tpm"),
        ({"spend": 5}, {"spend": 6}, "spend"),
        ({"redact": "email card"}, {"redact": ["email", "phone"]}, "redact"),
        ({"redact": "all"}, {"redact": ["email"]}, "redact"),
    ],
)
def test_a_key_grants_no_more_than_its_maker(
    api: Api, bound: dict[str, Any], asked: dict[str, Any], field: str
) -> None:
    maker = api.maker(Grant(**{"scopes": ("chat", "keys"), **bound}))
    before = dict(api.item)
    assert refusal(api.create(kid=maker, **asked)) == (403, "exceeds_own_key", field)
    assert api.item == before


def test_what_is_left_out_is_as_the_maker_has_it(api: Api) -> None:
    # given a maker with every restriction
    bound = Grant(("chat", "keys"), api.now + DAY, ("a", "b"), "none", ("10.0.0.0/8",))
    maker = api.maker(bound)
    # then a key that names nothing, or null, has all of them, and a narrower one its own
    for fields in ({}, dict.fromkeys(("expires_at", "models", "retention", "cidrs"))):
        made = api.made(kid=maker, **fields)
        assert (made["expires_at"], made["models"], made["retention"], made["cidrs"]) == (
            api.now + DAY,
            ["a", "b"],
            "none",
            ["10.0.0.0/8"],
        )
    narrower = api.made(kid=maker, expires_at=api.now + 5, models=["b"], cidrs=["10.9.0.0/16"])
    assert (narrower["expires_at"], narrower["models"], narrower["cidrs"]) == (api.now + 5, ["b"], ["10.9.0.0/16"])


@pytest.mark.parametrize("wide", [Grant(("chat", "history")), Grant(("chat",), cidrs=("::/0",)), Grant(("chat",))])
def test_a_key_gets_no_secret_of_a_wider_one_by_rotating_it(api: Api, wide: Grant) -> None:
    maker = api.maker(Grant(("chat", "keys"), cidrs=("10.0.0.0/8",)))
    target = api.maker(wide)
    before = dict(api.item)
    assert refusal(api.call("POST", f"{KEYS}/{target}/rotate", kid=maker))[:2] == (403, "exceeds_own_key")
    assert api.item == before
    assert api.call("POST", f"{KEYS}/{maker}/rotate", kid=maker)[0] == 201  # its own it may


def test_a_rotated_key_has_the_same_fields_and_the_old_one_ends_after_the_overlap(api: Api) -> None:
    old = api.made(name="app", models=["a"], cidrs=["10.0.0.0/8"])
    api.clock.advance(10)
    # when it is rotated with an overlap of a minute
    status, fresh = api.call("POST", f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 60})
    # then the new key has its fields and a secret of its own, and the old one ends in a minute
    assert status == 201
    assert check_key(MINT, fresh["key"]) == (api.project, fresh["id"])
    same = ("name", "scopes", "models", "retention", "cidrs", "expires_at")
    assert {name: fresh[name] for name in same} == {name: old[name] for name in same}
    assert fresh["created_at"] == old["created_at"] + 10
    assert api.call("GET", f"{KEYS}/{old['id']}")[1]["expires_at"] == api.now + 60
    # and rotating the old one again never prolongs it; once it has ended there is nothing to rotate
    assert api.call("POST", f"{KEYS}/{old['id']}/rotate")[0] == 201
    assert api.call("GET", f"{KEYS}/{old['id']}")[1]["expires_at"] == api.now + 60
    api.clock.advance(60)
    assert refusal(api.call("POST", f"{KEYS}/{old['id']}/rotate")) == (404, "not_found", None)


def test_the_overlap_is_a_day_unless_told_and_none_ends_the_old_key_at_once(api: Api) -> None:
    first, second = api.made(), api.made()
    api.call("POST", f"{KEYS}/{first['id']}/rotate")
    assert api.call("GET", f"{KEYS}/{first['id']}")[1]["expires_at"] == api.now + DAY
    assert api.call("POST", f"{KEYS}/{second['id']}/rotate", {"overlap_seconds": 0})[0] == 201
    assert "k_" + second["id"] not in api.item


def test_there_are_eight_live_keys_and_expired_ones_make_room(api: Api) -> None:
    # given eight live keys, one of which ends soon
    brief = api.made(expires_at=api.now + 60)
    for _ in range(MAX_KEYS - 2):
        api.made()
    assert refusal(api.create()) == (409, "too_many_keys", None)
    # then a rotation with an overlap finds no room either, one without does
    assert refusal(api.call("POST", f"{KEYS}/k1/rotate"))[:2] == (409, "too_many_keys")
    assert api.call("POST", f"{KEYS}/{brief['id']}/rotate", {"overlap_seconds": 0})[0] == 201
    # when it has ended, then a new one takes its place and it is gone from the item
    api.clock.advance(60)
    api.made()
    assert len([name for name in api.item if name.startswith("k_")]) == MAX_KEYS
    assert refusal(api.create()) == (409, "too_many_keys", None)


def test_a_revoked_key_is_gone_the_callers_own_too(api: Api) -> None:
    made = api.made()
    for kid in (made["id"], "k1"):
        assert api.call("DELETE", f"{KEYS}/{kid}") == (200, {"id": kid, "object": "api_key.deleted", "deleted": True})
        assert "k_" + kid not in api.item
        assert refusal(api.call("DELETE", f"{KEYS}/{kid}")) == (404, "not_found", None)


def test_a_base64_body_is_read(api: Api) -> None:
    body = base64.b64encode(json.dumps({"name": "n", "scopes": ["chat"]}).encode()).decode()
    event = {
        "httpMethod": "POST",
        "path": KEYS,
        "resource": KEYS,
        "headers": {},
        "requestContext": {"requestId": "req-1", "authorizer": Verdict(api.project, "k1").to_context()},
        "body": body,
        "isBase64Encoded": True,
    }
    assert account.handler.handler(event, None)["statusCode"] == 201
