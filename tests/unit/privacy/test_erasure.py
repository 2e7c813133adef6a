"""One erasure from request to certificate, over fakes and through the shipped state machine."""

from __future__ import annotations

import pytest

from chatapi.catalogue import catalogue
from chatapi.errors import SubjectErased
from chatapi.vault import SubjectFrozen
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World


@pytest.fixture
def world() -> World:
    return World()


def test_everything_of_the_subject_is_gone_and_nothing_of_anyone_else(world: World) -> None:
    # given two data subjects with stored completions, one of several chunks, and an export
    mine = [world.store(ALICE), world.store(ALICE, b"x" * 800_000)]
    other = world.store(BOB)
    world.exports.keys = {f"{PROJECT}/{ALICE}/export.zip", f"{PROJECT}/{BOB}/export.zip"}
    before = world.rows_of(BOB)
    # when one asks for erasure
    case = world.case(ALICE)
    assert world.erase(case)[-1] == "Erased"
    # then
    assert world.again(case).status == "completed"
    assert world.rows_of(ALICE) == []
    assert world.exports.keys == {f"{PROJECT}/{BOB}/export.zip"}
    assert world.rows_of(BOB) == before
    assert world.completions.load(PROJECT, other).body == b"hello"
    assert not any(completion_id in str(key) for key in world.records.rows for completion_id in mine)
    with pytest.raises(SubjectErased):
        world.vault.reader(PROJECT, ALICE, 1)


def test_the_outcome_names_every_store_and_counts(world: World) -> None:
    world.store(ALICE)
    world.store(ALICE, b"x" * 800_000)
    case = world.case()
    world.erase(case)
    outcomes = world.outcomes(case)
    assert outcomes.keys() == catalogue().stores.keys()
    assert outcomes["vault"] == [("shredded", 1)]
    assert outcomes["records"] == [("deleted", 4 + 2 + 1)]  # chunks, locators, one day row
    assert outcomes["requests"] == [("held", 1)]
    assert outcomes["exports"] == outcomes["signals"] == [("nothing_found", 0)]


def test_the_certificate_says_what_was_done_and_names_nobody(world: World) -> None:
    world.store()
    case = world.case()
    world.clock.advance(100)
    world.erase(case)
    payload = world.certificate(case)["payload"]
    assert payload["request"] == case.id
    assert payload["completed_at"] == case.created + 100
    assert payload["irrecoverable_after"] == payload["completed_at"] + 3 * 86400
    (subject,) = payload["subjects"]
    assert (subject["subject"], subject["generation"], subject["erased_by"]) == (ALICE, 1, case.id)
    assert list(subject["wrap_sha256"]) == ["1"]
    assert [answer["recipient"] for answer in payload["recipients"]] == ["local-model"]
    assert payload["canary"]["opens"] is False
    assert payload["ledger"]["seq"] == 1


def test_a_subject_without_data_gets_nothing_found_and_a_certificate(world: World) -> None:
    case = world.case()
    world.erase(case)
    outcomes = world.outcomes(case)
    assert outcomes["vault"] == outcomes["records"] == [("nothing_found", 0)]
    assert world.certificate(case)["payload"]["canary"] is None
    assert world.wraps.items == {}, "no key was made for somebody who is unknown"


def test_a_second_run_of_the_case_changes_nothing(world: World) -> None:
    world.store()
    case = world.case()
    world.erase(case)
    first, signatures = world.again(case).get("certificate"), world.signer.signatures
    world.clock.advance(1000)
    assert world.erase(case)[-1] == "Erased"
    assert world.again(case).get("certificate") == first
    assert (world.entries(), world.signer.signatures) == (1, signatures)


def test_a_second_request_after_the_erasure_completes_with_nothing_found(world: World) -> None:
    world.store()
    first, second = world.case(name="dsr_" + "1" * 24), world.case(name="dsr_" + "2" * 24)
    world.erase(first)
    world.erase(second)
    assert world.outcomes(second)["vault"] == [("nothing_found", 0)]
    (subject,) = world.certificate(second)["payload"]["subjects"]
    assert subject["erased_by"] == first.id, "the evidence of the erasure that did it"
    assert world.entries() == 2


def test_nothing_can_be_stored_between_the_freeze_and_the_end(world: World) -> None:
    world.store()
    case = world.case()
    world.task(case, "verify", "holds", "freeze")
    with pytest.raises(SubjectFrozen):
        world.store()


def test_a_subject_that_comes_back_opens_a_new_generation_which_survives(world: World) -> None:
    # given an erasure that is complete but for its late scan, which runs when the subject is back
    world.store()
    case = world.case()
    returned: list[str] = []

    def come_back(state: str) -> None:
        if state == "LateResidueScan":
            world.clock.advance(1)
            returned.append(world.store())

    world.erase(case, between=come_back)
    # then
    assert world.completions.load(PROJECT, returned[0]).body == b"hello"
    assert any("day#" in str(sk) for _, sk in world.rows_of(ALICE)), "the new disclosure is on record"
    # and another run of the finished case leaves it alone too
    world.erase(case)
    assert world.completions.load(PROJECT, returned[0]).body == b"hello"


def test_records_of_every_kind_go_with_their_locators_children_and_chunks() -> None:
    world = World()
    handle = world.kept.writer(PROJECT, ALICE)
    world.kept.put(handle, "conversation", [("conv_1", b"x" * 400_000)])
    world.kept.put(handle, "item", [("msg_1", b"x"), ("msg_2", b"y" * 400_000)], parent="conv_1")
    world.kept.put(world.kept.writer(PROJECT, BOB), "response", [("resp_1", b"z")])
    case = world.case()
    world.erase(case)
    assert ("deleted", 6) in world.outcomes(case)["records"]  # two heads and two chunks, one head, one locator
    assert world.rows_of(ALICE) == []
    assert len(world.rows_of(BOB)) == 2
    assert "residue" not in world.again(case).facts or not sum(world.again(case).get("residue").values())
