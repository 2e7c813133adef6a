"""Whoever uses the portal leaves nothing of what they typed in a log line or a stored row."""

from __future__ import annotations

import pytest

from tests.support.canary import Canary, as_bytes
from tests.unit.portal.reader import Portal
from tests.unit.privacy.world import PROJECT


def test_addresses_codes_and_user_ids_reach_no_log_and_no_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    portal = Portal(monkeypatch)
    address, user = "canary-owner-zq7@example.com", Canary("portal-user")
    portal.people.contacts.set(PROJECT, address)
    # when an owner signs in, fails to, and asks for an erasure
    reader = portal.reader()
    page = reader.post(reader.get("/portal/sign-in").form("sign-in"), project=PROJECT, address=address)
    portal.people.deliver()
    reader.post(page.form("code"), code="00000000")
    page = reader.post(page.form("code"), code=portal.people.code())
    reader.post(page.form("requests"), type="erasure", sure="yes")
    # and an end user comes by a link
    alice = portal.enter(user.text)
    alice.post(alice.get("/portal/requests").form("requests"), type="access")
    # then no line and no row has the address, the code, the user's id, or what is in a cookie
    logged = capsys.readouterr().out.encode()
    stored = as_bytes([*portal.world.requests.rows.values(), *portal.world.records.rows.values()])
    secrets = [address, address.upper(), portal.people.code(), portal.people.code().replace(" ", "")]
    secrets += [*reader.cookies.values(), *alice.cookies.values()]
    assert b'"status":303' in logged
    for place in (logged, stored):
        assert not user.found_in(place)
        assert not [secret for secret in secrets if secret.encode() in place]
