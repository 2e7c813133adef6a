"""What a legal hold keeps, and how the other names of a data subject are found."""

from __future__ import annotations

import pytest

from chatapi.store.keys import HOLD, chunk_attribute, subject_pk
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World


@pytest.fixture
def world() -> World:
    return World()


def test_held_completions_are_sealed_under_a_key_of_the_case(world: World) -> None:
    # given a completion of two chunks under a hold
    body = b"x" * 400_000
    name = world.store(ALICE, body)
    world.hold(days=10)
    case = world.case()
    # when
    world.erase(case)
    # then it opens with the case's key, in its new place, and says by which hold it is kept
    pk = subject_pk(PROJECT, ALICE, HOLD)
    rows = world.records.query(pk)
    assert [row["sk"] for row in rows] == [f"{case.id}#completion#{name}#{index:04d}" for index in (0, 1)]
    reader = world.vault.reader(PROJECT, "hold_" + case.id, 1)
    parts = [
        reader.open("records", pk, row["sk"], chunk_attribute(index, 2), 1, row["body"])
        for index, row in enumerate(rows)
    ]
    assert b"".join(parts) == body
    assert {row["hold"] for row in rows} == {"hold1"}
    # and the request and its certificate say so
    assert world.outcomes(case)["records"] == [("deleted", 4), ("held", 2)]
    payload = world.certificate(case)["payload"]
    (hold,) = payload["holds"]
    assert (hold["basis"], hold["kinds"]) == ("court order", ["completion"])
    assert "GDPR Art. 17(3)" in next(
        line["reason"] for line in payload["stores"] if line["outcome"] == "held" and line["store"] == "records"
    )


@pytest.mark.parametrize("kind", ["conversation", "item", "response", "contact"])
def test_every_encrypted_kind_is_held_under_a_key_of_the_case_and_ends_with_it(world: World, kind: str) -> None:
    # given records of every kind, updated ones and large ones, of which one kind is held
    handle = world.kept.writer(PROJECT, ALICE)
    bodies = {}
    for one in ("conversation", "item", "response", "contact"):
        parent = "conv_1" if one == "item" else ""
        small, large = world.kept.put(handle, one, [(one + "1", b'"a"'), (one + "2", b"x" * 800_000)], parent=parent)
        small = world.kept.update(handle, small, b'"b"')
        bodies[one] = [small.body, large.body]
    torn = world.kept.put(handle, kind, [("torn", b"x" * 800_000)])[0]
    del world.records.rows[next(key for key in world.records.rows if "#torn#" in str(key[1]))]
    world.hold(kinds=(kind,))
    case = world.case()
    # when
    world.erase(case)
    # then they alone open, with the case's key
    pk, reader = subject_pk(PROJECT, ALICE, HOLD), world.vault.reader(PROJECT, "hold_" + case.id, 1)
    rows = world.records.query(pk)
    parts: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        parts.setdefault(row["sk"].rpartition("#")[0], []).append(row)
    opened = [
        b"".join(
            reader.open("records", pk, str(row["sk"]), chunk_attribute(index, len(chunks)), 1, bytes(row["body"]))  # type: ignore[call-overload]
            for index, row in enumerate(chunks)
        )
        for chunks in parts.values()
    ]
    assert (opened, torn.kind) == (bodies[kind], kind)
    assert {pk for pk, _ in world.rows_of(ALICE)} == {pk}
    assert world.outcomes(case)["records"][-1] == ("held", 4)
    # and are gone when the hold is over
    world.clock.advance(11 * 86400)
    world.erase(case)
    assert world.again(case).status == "completed"
    assert world.rows_of(ALICE) == []


def test_rows_without_ciphertext_are_held_where_they_are(world: World) -> None:
    world.store()
    world.hold(kinds=("day",))
    case = world.case()
    world.erase(case)
    assert [sk.split("#")[0] for _, sk in world.rows_of(ALICE)] == ["day"]
    assert world.outcomes(case)["records"] == [("deleted", 2), ("held", 1)]


def test_an_expired_hold_holds_nothing(world: World) -> None:
    world.store()
    world.hold(days=1)
    world.clock.advance(86400)
    case = world.case()
    world.erase(case)
    assert world.rows_of(ALICE) == []
    assert world.certificate(case)["payload"]["holds"] == []


@pytest.mark.parametrize("kind", ["locator", "subject_key", "case", "nonsense"])
def test_a_hold_that_cannot_be_honoured_stops_the_erasure_before_anything_is_lost(world: World, kind: str) -> None:
    stored = world.store()
    world.hold(kinds=(kind,))
    case = world.case()
    assert world.erase(case)[-1] == "Failed"
    assert world.completions.load(PROJECT, stored).body == b"hello"


def test_of_two_holds_the_longer_counts(world: World) -> None:
    world.store()
    world.hold(days=5, name="short")
    world.hold(days=50, name="long")
    case = world.case()
    world.erase(case)
    (row,) = world.records.query(subject_pk(PROJECT, ALICE, HOLD))
    assert row["hold"] == "long"
    assert world.again(case).get("until") == case.created + 50 * 86400


def test_what_was_never_whole_or_has_expired_is_not_held(world: World) -> None:
    torn, _whole = world.store(ALICE, b"x" * 400_000), world.store(ALICE)
    (chunk,) = [key for key in world.records.rows if str(key[1]).startswith(f"completion#{torn}#")]
    del world.records.rows[chunk]
    world.hold()
    case = world.case()
    world.erase(case)
    assert world.outcomes(case)["records"][-1] == ("held", 1)


def test_an_alias_is_erased_with_the_subject(world: World) -> None:
    world.store(ALICE)
    world.store(BOB)
    world.days.alias(PROJECT, ALICE, BOB)
    case = world.case(ALICE)
    world.erase(case)
    assert world.rows_of(ALICE) == world.rows_of(BOB) == []
    assert world.outcomes(case)["vault"] == [("shredded", 2)]
    assert {entry["subject"] for entry in world.certificate(case)["payload"]["subjects"]} == {ALICE, BOB}


def test_either_name_of_a_person_selects_all_of_it(world: World) -> None:
    world.store(ALICE)
    world.store(BOB)
    world.days.alias(PROJECT, ALICE, BOB)
    world.erase(world.case(BOB))
    assert world.rows_of(ALICE) == world.rows_of(BOB) == []


def test_a_name_that_goes_is_left_in_no_row_of_another_person(world: World) -> None:
    # given an id that a third person shared: their own data is not asked for, their row names the erased one
    third = "sub_" + "c" * 32
    world.days.alias(PROJECT, ALICE, BOB)
    world.days.alias(PROJECT, BOB, third)
    world.erase(world.case(ALICE))
    assert world.rows_of(third) == []


def test_an_alias_is_followed_for_one_step(world: World) -> None:
    """Two people may have shared an id; who asks for erasure speaks for themselves and their own other name."""
    third = "sub_" + "c" * 32
    kept = world.store(third)
    world.days.alias(PROJECT, ALICE, BOB)
    world.days.alias(PROJECT, BOB, third)
    world.erase(world.case(ALICE))
    assert world.completions.load(PROJECT, kept).body == b"hello"
