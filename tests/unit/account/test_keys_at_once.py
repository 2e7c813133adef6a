"""Two who change a project's keys at the same time: one counts, and a revocation always does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatapi.grants import Grant
from chatapi.store.items import Change, Collision, Item
from tests.unit.account.api import KEYS, Api, refusal


def meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Somebody acts between our next read and our write."""
    real = api.table.update

    def update(pk: str, sk: str | None, change: Change) -> Item:
        monkeypatch.setattr(api.table, "update", real)
        act()
        return real(pk, sk, change)

    monkeypatch.setattr(api.table, "update", update)


def test_a_key_that_was_revoked_meanwhile_leaves_no_successor(api: Api) -> None:
    maker = api.maker(Grant(("chat", "keys")))
    api.projects.revoke(api.project, maker)
    assert refusal(api.create(kid=maker)) == (401, "invalid_api_key", None)
    assert refusal(api.call("POST", f"{KEYS}/k1/rotate", kid=maker)) == (401, "invalid_api_key", None)


def test_two_changes_at_once_cannot_both_count(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who revokes a key between our read and our write
    target = api.made()["id"]
    meanwhile(api, monkeypatch, lambda: api.projects.revoke(api.project, target))
    # then our rotation does not bring it back
    assert refusal(api.call("POST", f"{KEYS}/{target}/rotate")) == (503, "service_unavailable", None)
    assert "k_" + target not in api.item


def test_a_write_whose_answer_was_lost_counts_as_done(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    real = api.table.update

    def twice(pk: str, sk: str | None, change: Change) -> Item:
        real(pk, sk, change)
        with pytest.raises(Collision):
            real(pk, sk, change)
        return real(pk, sk, change)

    monkeypatch.setattr(api.table, "update", twice)
    made = api.made()
    assert "k_" + made["id"] in api.item


def test_a_revocation_wins_whatever_happens_to_the_keys_meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    target = api.made()["id"]
    meanwhile(api, monkeypatch, lambda: api.projects.rotate(api.project, target))
    assert api.call("DELETE", f"{KEYS}/{target}")[0] == 200
    assert "k_" + target not in api.item
