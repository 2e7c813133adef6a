"""What is left behind is found: late writers, expired rows, orphans, and stores that nobody thought of."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from chatapi.catalogue import Kind, catalogue
from chatapi.store.keys import locator_pk, record_sk, subject_pk
from privacy.tasks.erasers import erasers
from privacy.tasks.ports import NotCovered, ResidueFound
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Interrupted, World

ORPHAN = "chatcmpl-" + "0" * 29


@pytest.fixture
def world() -> World:
    world = World()
    world.store()
    return world


def killed_writer(world: World) -> None:
    """A writer that was killed between its write and its second look at the Vault."""
    pk, sk = subject_pk(PROJECT, ALICE, 1), record_sk("completion", ORPHAN)
    world.records.put({"pk": pk, "sk": sk, "kind": "completion", "body": b"sealed", "ttl": 1 << 40})
    locator(world)


def locator(world: World, subject: str = ALICE, generation: int = 1) -> None:
    row = {"pk": locator_pk(PROJECT), "sk": ORPHAN, "kind": "locator", "subject": subject, "generation": generation}
    world.records.put({**row, "ttl": 1 << 40})


@pytest.mark.parametrize("leave", [killed_writer, locator], ids=["rows", "a locator alone"])
def test_what_a_killed_writer_left_is_removed_by_the_late_scan(world: World, leave: Any) -> None:
    case = world.case()
    world.erase(case, between=lambda state: leave(world) if state == "LateResidueScan" else None)
    assert world.rows_of(ALICE) == []
    assert world.again(case).get("late")["removed"] > 0


def test_what_comes_between_deletion_and_scan_is_counted(world: World) -> None:
    case = world.case()
    world.erase(case, between=lambda state: killed_writer(world) if state == "ResidueScan" else None)
    assert world.rows_of(ALICE) == []
    assert world.outcomes(case)["records"] == [("deleted", 3 + 2)]


def test_what_comes_between_inventory_and_deletion_is_counted(world: World) -> None:
    case = world.case()
    world.erase(case, between=lambda state: killed_writer(world) if state == "Delete" else None)
    assert world.rows_of(ALICE) == []
    assert world.outcomes(case)["records"] == [("deleted", 3 + 2)]


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_what_a_scan_found_is_counted_wherever_it_is_stopped(after: bool) -> None:
    for stop_at in range(1, 40):
        world = World()
        world.store()
        case = world.case()
        world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy", "delete")
        world.task(case, "recipients")
        killed_writer(world)
        world.breaker.calls, world.breaker.stop_at, world.breaker.after = 0, stop_at, after
        with contextlib.suppress(Interrupted):
            world.task(case, "residue_scan")
        world.erase(case)
        assert world.outcomes(case)["records"] == [("deleted", 3 + 2)], stop_at


def test_rows_of_every_closed_generation_are_looked_for(world: World) -> None:
    # given a subject that was erased before, whose first generation a killed writer left something of, and came back
    world.erase(world.case(name="dsr_" + "2" * 24))
    killed_writer(world)
    world.store()
    # when it is erased again
    case = world.case()
    world.erase(case)
    # then
    assert world.rows_of(ALICE) == []
    assert world.outcomes(case)["records"] == [("deleted", 3 + 2)]


def test_rows_past_their_ttl_are_deleted_too(world: World) -> None:
    world.clock.advance(40 * 86400)
    assert world.records.query(subject_pk(PROJECT, ALICE, 1)) == [], "they do not exist for readers"
    case = world.case()
    world.erase(case)
    assert world.rows_of(ALICE) == []
    assert world.outcomes(case)["records"] == [("deleted", 3)]


def test_locators_of_others_and_of_a_later_generation_stay(world: World) -> None:
    case = world.case()
    world.erase(case, between=lambda state: locator(world, generation=2) if state == "ResidueScan" else None)
    assert (locator_pk(PROJECT), ORPHAN) in world.records.rows
    locator(world, BOB)
    world.erase(case)
    assert (locator_pk(PROJECT), ORPHAN) in world.records.rows


def test_a_table_that_does_not_delete_fails_the_erasure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy")
    monkeypatch.setattr(world.ports.records, "delete_all", lambda keys: None)
    world.task(case, "delete", "recipients")
    with pytest.raises(ResidueFound):
        world.task(case, "residue_scan")
    world.task(case, "mark_failed")
    assert world.again(case).status == "failed"


def test_a_key_that_still_opens_fails_the_erasure(world: World) -> None:
    """Given a Vault that was restored from a copy after the destruction."""
    case = world.case()
    copy = dict(world.wraps.items)
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy", "delete", "recipients")
    world.wraps.items.update(copy)
    with pytest.raises(ResidueFound):
        world.task(case, "residue_scan")


def test_a_resumed_case_leaves_the_later_days_of_a_subject_that_came_back(world: World) -> None:
    # given a case that stopped after the destruction, and a subject that came back days later
    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy")
    world.clock.advance(3 * 86400)
    back = world.store()
    # when it is resumed
    world.erase(case)
    # then the old rows are gone, the new ones are not
    assert world.completions.load(PROJECT, back).body == b"hello"
    days = [sk for _, sk in world.rows_of(ALICE) if sk.startswith("day#")]
    assert len(days) == 1
    assert world.outcomes(case)["records"] == [("deleted", 3)]


def test_a_subject_that_came_back_without_storing_keeps_its_disclosures(world: World) -> None:
    # given a person who chats again before the late scan, and a chat that had begun before the erasure and ends now
    world.store()
    case, began = world.case(), world.clock.now()

    def chats(state: str) -> None:
        if state == "LateResidueScan":
            world.clock.advance(60)
            world.days.disclose(PROJECT, ALICE, "local-model", 1, 1)
            world.days.disclose(PROJECT, ALICE, "amazon-bedrock", 1, 1, since=began)

    world.erase(case, between=chats)
    # then the new disclosure stays on record and the old one is gone
    assert [sk.rpartition("#")[2] for _, sk in world.rows_of(ALICE)] == ["local-model"]


def test_aliases_go_with_the_deletion_and_those_of_a_subject_that_came_back_stay(world: World) -> None:
    # given a case that stopped before the deletion, and a subject that came back
    world.days.alias(PROJECT, ALICE, BOB)
    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy")
    world.clock.advance(1)
    world.store()
    # when it is resumed, and the subject gives another name before the late scan
    other = "sub_" + "c" * 32
    resumed = lambda state: world.days.alias(PROJECT, ALICE, other) if state == "LateResidueScan" else None  # noqa: E731
    world.erase(case, between=resumed)
    # then
    aliases = [sk for _, sk in world.rows_of(ALICE) if sk.startswith("alias#")]
    assert aliases == ["alias#" + other]


def test_every_store_and_kind_of_the_catalogue_is_covered() -> None:
    assert erasers().keys() == catalogue().stores.keys()


def test_a_new_store_stops_every_erasure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue().stores, "profiles", "ProfilesTable")
    with pytest.raises(NotCovered):
        erasers()
    stored = world.store()
    assert world.erase(world.case())[-1] == "Failed"
    assert world.completions.load(PROJECT, stored).body == b"hello", "found before the commit"


@pytest.mark.parametrize("store", sorted(catalogue().stores))
def test_a_new_kind_that_nobody_deletes_stops_every_erasure(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Kind("new", store, "n#{subject} / {id}", frozenset(), "service", True, "delete", "", frozenset(), 1)
    monkeypatch.setitem(catalogue().kinds, "new", kind)
    with pytest.raises(NotCovered):
        erasers()


def test_a_subject_whose_wrap_is_damaged_can_be_erased_and_the_certificate_says_so(world: World) -> None:
    # given a wrap that opens nothing any more
    item = world.wraps.items[PROJECT, ALICE]
    world.wraps.items[PROJECT, ALICE] = replace(item, wraps={1: b"damaged" * 10})
    case = world.case()
    # then what nobody can read goes like anything else
    assert world.erase(case)[-1] == "Erased"
    assert world.rows_of(ALICE) == []
    assert world.wraps.items[PROJECT, ALICE].wraps == {}
    # and the certificate holds, without a canary that it could not have
    payload = world.certificate(case)["payload"]
    assert payload["canary"] == {"subject": ALICE, "ciphertext": "", "opens": False}
    assert any("damaged" in note for note in payload["notes"])
    assert world.outcomes(case)["vault"] == [("shredded", 1)]
