"""Who may report leaked keys: whoever the partner's key set proves. Everybody else is refused, unparsed."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from account.leaks.service import MAX_BODY_BYTES
from account.leaks.signatures import ASK_AGAIN_SECONDS, KEEP_SECONDS, PAUSE_SECONDS, PublicKeys, fetcher, parse_keys
from chatapi.clock import FixedClock
from tests.unit.account.leak_world import World, key_set, matches, sign


def test_the_programmes_published_example_verifies() -> None:
    # given key, payload and signature as "Secret scanning partner program" prints them
    pem = (
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n"
        "kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n"
    )
    name = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a"
    signature = "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc="
    payload = b'[{"token":"some_token","type":"some_type","url":"some_url"}]'
    entry = {"key_identifier": name, "key": pem, "is_current": False}
    keys = PublicKeys(json.dumps({"public_keys": [entry]}).encode, FixedClock())
    assert keys.signed(name, signature, payload)
    assert not keys.signed(name, signature, payload + b" ")


@pytest.mark.parametrize("case", ["none", "foreign", "body", "garbage", "long", "identifier"])
def test_a_report_that_the_partner_did_not_sign_is_refused_and_not_even_parsed(world: World, case: str) -> None:
    body = matches(world.key)
    signature: str | None = sign(body)
    identifier: str | None = "id1"
    if case == "none":
        signature = None
    elif case == "foreign":
        signature = sign(body, ec.generate_private_key(ec.SECP256R1()))
    elif case == "body":
        body += b" "
    elif case == "garbage":
        signature = "§§§"
    elif case == "long":
        signature = "A" * 100_000
    else:
        identifier = "id2"
    status, answer = world.post(body, signature, identifier)
    assert (status, answer["error"]["code"]) == (403, "invalid_signature")
    assert "k_k1" in world.item


def test_without_a_partner_every_report_is_refused(world: World) -> None:
    world.use(None)
    assert world.report(world.key)[0] == 403
    assert "k_k1" in world.item


def test_keys_of_another_curve_are_no_keys() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    assert parse_keys(key_set(key=other)) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"public_keys":[1]}',
        b'{"public_keys":[{"key":"x","key_identifier":"a"}]}',
        b"x" * 70_000,
        b"[" * 60_000,
    ],
)
def test_a_set_that_is_none_leaves_the_report_to_be_sent_again(world: World, text: bytes) -> None:
    world.set = lambda: text
    assert world.report(world.key)[0] == 503
    assert "k_k1" in world.item


def test_the_set_is_fetched_once_an_hour_and_not_for_each_forged_identifier(world: World) -> None:
    for _ in range(50):
        world.post(b"[]", sign(b"[]"), "forged")
    assert world.fetched == 1
    # a new key of the partner is found soon
    world.clock.advance(ASK_AGAIN_SECONDS + 1)
    world.set = lambda: key_set("id2")
    assert world.post(b"[]", sign(b"[]"), "id2") == (200, [])

    # and a partner that does not answer stops reports only when the set is too old
    def down() -> bytes:
        raise OSError

    world.set = down
    world.clock.advance(ASK_AGAIN_SECONDS + 1)
    assert world.post(b"[]", sign(b"[]"), "id2")[0] == 200
    world.clock.advance(KEEP_SECONDS)
    assert world.post(b"[]", sign(b"[]"), "id2")[0] == 503


def test_a_partner_that_does_not_answer_is_not_asked_for_each_report(world: World) -> None:
    def down() -> bytes:
        raise OSError

    world.set = down
    for _ in range(20):
        assert world.post(b"[]", sign(b"[]"))[0] == 503
    assert world.fetched == 1
    # and is asked again soon
    world.set = key_set
    world.clock.advance(PAUSE_SECONDS)
    assert world.post(b"[]", sign(b"[]"))[0] == 200


@pytest.mark.parametrize("url", ["http://example.com/keys", "file:///etc/passwd", "https://", "ftp://x"])
def test_a_set_is_fetched_over_tls_alone(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        fetcher(url, lambda: 0.0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" + b" " * MAX_BODY_BYTES + b"]", 413),
        (matches(*["x"] * 501), 413),
        (matches(*["x"] * 500), 200),
        (b"{", 400),
        (b"{}", 400),
        (b"[" * 100_000, 400),
        (b"[1]", 400),
        (b'[{"token": 1, "type": "t"}]', 400),
        (b'[{"token": "t"}]', 400),
        (json.dumps([{"token": "t" * 513, "type": "t"}]).encode(), 400),
        (b"[]", 200),
    ],
)
def test_signed_bodies_are_bounded_and_strict(world: World, body: bytes, status: int) -> None:
    assert world.post(body, sign(body))[0] == status


def test_a_body_that_is_too_large_is_refused_before_its_signature_is_checked(world: World) -> None:
    assert world.post(b"x" * (MAX_BODY_BYTES + 1), None)[0] == 413
    assert world.fetched == 0
