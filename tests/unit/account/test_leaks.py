"""Reports of leaked keys: live keys end at once, and their owners are told."""

from __future__ import annotations

import pytest

from chatapi.grants import Grant
from chatapi.keys import mint_key
from chatapi.store.items import Change, Collision, Item, MemoryTable
from chatapi.store.key_fields import DAY
from tests.unit.account.leak_world import ADDRESS, MINT, World


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
