"""The endpoint for leaked keys over fakes, and a partner that signs its reports."""

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
from account.leaks.service import Leaks
from account.leaks.signatures import PublicKeys
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock
from chatapi.store.contacts import Contacts
from chatapi.store.items import Item, MemoryTable
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
