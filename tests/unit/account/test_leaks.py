"""Reports of leaked keys: signed by the partner or refused; live keys end at once, and their owners are told."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import account.leaks.handler
from account.leaks.service import MAX_BODY_BYTES, Leaks
from account.leaks.signatures import ASK_AGAIN_SECONDS, KEEP_SECONDS, PAUSE_SECONDS, PublicKeys, fetcher, parse_keys
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.grants import Grant
from chatapi.keys import mint_key
from chatapi.store.contacts import Contacts
from chatapi.store.items import Change, Collision, Item, MemoryTable
from chatapi.store.key_fields import DAY
from chatapi.store.marks import Marks
from chatapi.store.projects import Limits, Projects
from chatapi.store.records import Records
from chatapi.vault import Vault
from chatapi.vault.memory import MemoryKeys, MemoryWraps

MINT, PEPPER = b"m" * 32, b"p" * 32
PARTNER = ec.generate_private_key(ec.SECP256R1())
ADDRESS = "owner.canary@example.com"


def key_set(name: str = "id1", key: ec.EllipticCurvePrivateKey = PARTNER) -> bytes:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return json.dumps({"public_keys": [{"key_identifier": name, "key": pem, "is_current": True}]}).encode()


class World:
    """The endpoint over fakes: a project with a key, an owner, a partner whose set is fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.table, self.records = FixedClock(), MemoryTable(None), MemoryTable()
        self.projects = Projects(Catalogued(self.table, "projects"), mint=MINT, pepper=PEPPER, clock=self.clock)
        self.project, self.key = self.projects.create("n", Limits(), region="eu-central-1")
        vault = Vault(MemoryWraps(), MemoryKeys(), self.clock)
        marks = Marks(Catalogued(MemoryTable(), "requests"), self.clock)
        records = Records(Catalogued(self.records, "records"), vault, marks, self.clock)
        self.contacts = Contacts(records, lambda: b"p" * 32)
        self.sent: list[tuple[str, str, str]] = []
        self.fetched = 0
        self.set: Callable[[], bytes] = key_set
        self.reads = 0
        self.use(self._fetch)
        monkeypatch.setattr(account.leaks.handler._service, "made", None)
        monkeypatch.setattr(account.leaks.handler, "_service", lambda: self.leaks)

    def use(self, fetch: Callable[[], bytes] | None) -> None:
        keys = PublicKeys(fetch, self.clock)
        self.leaks = Leaks(keys, self._projects, lambda: MINT, self.contacts, self, self.clock)

    def _projects(self) -> Projects:
        self.reads += 1
        return self.projects

    def _fetch(self) -> bytes:
        self.fetched += 1
        return self.set()

    def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))

    def post(self, body: bytes, signature: str | None, identifier: str | None = "id1") -> tuple[int, Any]:
        headers = {"GITHUB-PUBLIC-KEY-IDENTIFIER": identifier, "GITHUB-PUBLIC-KEY-SIGNATURE": signature}
        event = {
            "httpMethod": "POST",
            "path": "/v1/leaked-keys",
            "resource": "/v1/leaked-keys",
            "headers": {name: value for name, value in headers.items() if value is not None},
            "requestContext": {"requestId": "req-1"},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        answer = account.leaks.handler.handler(event, None)
        return answer["statusCode"], json.loads(answer["body"])

    def report(self, *tokens: str) -> tuple[int, Any]:
        body = matches(*tokens)
        return self.post(body, sign(body))

    def labels(self, *tokens: str) -> list[str]:
        status, body = self.report(*tokens)
        assert status == 200, body
        return [entry["label"] for entry in body]

    @property
    def item(self) -> Item:
        return self.table.rows["p#" + self.project, None]


def matches(*tokens: str) -> bytes:
    return json.dumps(
        [{"token": t, "type": "chatapi_key", "url": "https://x", "source": "content"} for t in tokens]
    ).encode()


def sign(body: bytes, key: ec.EllipticCurvePrivateKey = PARTNER) -> str:
    return base64.b64encode(key.sign(body, ec.ECDSA(SHA256()))).decode()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


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


def test_a_leaked_key_ends_at_once_is_shown_as_leaked_and_its_owner_is_told(world: World) -> None:
    world.contacts.set(world.project, ADDRESS)
    # when the partner reports it
    assert world.report(world.key) == (
        200,
        [{"token_raw": world.key, "token_type": "chatapi_key", "label": "true_positive"}],
    )
    # then no request opens with it any more, and the list says why
    assert "k_k1" not in world.item
    (shown,) = world.projects.keys(world.project)
    assert (shown.kid, shown.revoked, shown.reason) == ("k1", int(world.clock.now()), "leaked")
    # and the owner knows; the mail has no secret in it
    ((to, subject, text),) = world.sent
    assert to == ADDRESS
    assert "k1" in subject
    assert world.project in text
    assert world.key[23:] not in subject + text


def test_a_replayed_report_changes_nothing_and_tells_nobody_again(world: World) -> None:
    world.contacts.set(world.project, ADDRESS)
    assert world.labels(world.key) == ["true_positive"]
    before = dict(world.item)
    world.clock.advance(60)
    assert world.labels(world.key, world.key) == ["true_positive", "true_positive"]
    assert (world.item, len(world.sent)) == (before, 1)


def test_what_nobody_minted_asks_no_store_and_what_was_minted_but_is_not_the_key_revokes_nothing(world: World) -> None:
    # given made-up tokens, and keys with a good tag that are not the stored one: of a free id, and of the living id
    forged = world.key[:-1] + ("0" if world.key[-1] != "0" else "1")
    assert world.labels("x", forged, "chatapi_live_" + "0" * 57) == ["false_positive"] * 3
    assert world.reads == 0
    twin, stranger = mint_key(MINT, world.project, "k1"), mint_key(MINT, "nobody12", "k1")
    assert world.labels(twin, stranger) == ["false_positive"] * 2
    assert "k_k1" in world.item


def test_answers_to_known_and_unknown_keys_differ_in_the_label_alone(world: World) -> None:
    status, body = world.report(world.key, mint_key(MINT, "nobody12", "k1"))
    assert status == 200
    assert [set(entry) for entry in body] == [{"token_raw", "token_type", "label"}] * 2


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


def test_an_owner_without_an_address_is_told_in_the_log_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.labels(world.key) == ["true_positive"]
    assert world.sent == []
    assert '"event":"owner_not_told"' in (out := capsys.readouterr().out)
    assert '"outcome":"no_address"' in out


def test_a_mail_that_fails_changes_no_answer_and_neither_key_nor_address_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.contacts.set(world.project, ADDRESS)

    def refuse(*mail: str) -> None:
        raise OSError("cannot send to " + ADDRESS)

    monkeypatch.setattr(World, "send", lambda self, *mail: refuse(*mail))
    assert world.labels(world.key) == ["true_positive"]
    out = capsys.readouterr().out
    assert "owner_not_told" in out
    assert ADDRESS not in out
    assert world.key not in out
    # nor is either stored in clear
    assert ADDRESS not in repr(world.records.rows)
    assert world.key not in repr(world.table.rows)


def test_a_change_of_the_keys_at_the_same_time_does_not_save_a_leaked_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = MemoryTable.update
    raced: list[bool] = []

    def racing(self: MemoryTable, pk: str, sk: str | None, change: Change) -> Item:
        if not raced:
            raced.append(True)
            world.projects.add_key(world.project, Grant(("chat",)))
        return update(self, pk, sk, change)

    monkeypatch.setattr(MemoryTable, "update", racing)
    assert world.labels(world.key) == ["true_positive"]
    assert raced
    assert sum(name.startswith("k_") for name in world.item) == 1


def test_an_owner_is_told_though_the_answer_to_the_revocation_was_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.contacts.set(world.project, ADDRESS)
    update = MemoryTable.update

    def sent_again(self: MemoryTable, pk: str, sk: str | None, change: Change) -> Item:
        done = update(self, pk, sk, change)
        raise Collision(done)  # as the client's second try collides with its first

    with monkeypatch.context() as lost:
        lost.setattr(MemoryTable, "update", sent_again)
        assert world.labels(world.key) == ["true_positive"]
    assert [to for to, _, _ in world.sent] == [ADDRESS]
    # and nobody is told again by another report, later
    world.clock.advance(1)
    assert world.labels(world.key) == ["true_positive"]
    assert len(world.sent) == 1


def test_leaked_keys_count_against_nothing_and_are_forgotten_after_90_days(world: World) -> None:
    for _ in range(12):
        world.clock.advance(1)
        key, _ = world.projects.add_key(world.project, Grant(("chat",)))
        assert world.labels(key) == ["true_positive"]
    leaked = [key for key in world.projects.keys(world.project) if key.reason]
    assert len(leaked) == 8, "the latest: the item stays small"
    for _ in range(7):
        world.projects.add_key(world.project, Grant(("chat",)))
    world.clock.advance(91 * DAY)
    assert world.labels(world.key) == ["true_positive"]
    assert [key.kid for key in world.projects.keys(world.project) if key.reason] == ["k1"]
