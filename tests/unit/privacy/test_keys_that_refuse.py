"""An erasure needs no key: who cannot be read any more can be erased, and nothing that a hold keeps is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatapi.ids import completion_id
from chatapi.store.cases import Case
from chatapi.vault import State
from tests.unit.privacy.test_release import release_of
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

TENANT = "arn:aws:kms:eu-central-1:111111111111:key/tenant"
DAY = 86_400


class Tenant(World):
    """A project that brought its own KMS key."""

    def store_under(self, subject: str = ALICE) -> None:
        handle = self.vault.writer(PROJECT, subject, key=TENANT)
        self.completions.save(handle, completion_id(self.clock.now()), b"hello")

    def state(self, holder: str) -> State:
        item = self.wraps.get(PROJECT, holder)
        assert item is not None
        return item.state

    def erased(self, case: Case) -> dict[str, object]:
        payload: dict[str, object] = self.certificate(case)["payload"]
        return payload


@pytest.fixture
def world() -> Tenant:
    return Tenant()


def test_a_person_is_erased_though_the_tenants_key_refuses_for_good(world: Tenant) -> None:
    # given what lies under a KMS key that its tenant has deleted
    world.store_under()
    world.store(BOB)
    world.keys.destroy(TENANT)
    # when the person asks to be erased
    case = world.case()
    assert world.erase(case)[-1] == "Erased"
    # then the wrap and the rows are gone, and the certificate says that no canary could be sealed
    assert (world.again(case).status, world.state(ALICE)) == ("completed", State.ERASED)
    assert world.rows_of(ALICE) == []
    assert world.outcomes(case)["vault"] == [("shredded", 1)]
    assert any("refused" in str(note) for note in world.certificate(case)["payload"]["notes"])
    assert world.rows_of(BOB) != []


def test_an_outage_of_the_deployments_own_key_is_waited_for(world: Tenant) -> None:
    """Given a key that will answer again, the certificate is to have its canary."""
    world.store()
    world.keys.disable()
    case = world.case()
    world.clock.advance(301)
    assert world.erase(case)[-1] == "Failed"
    assert world.state(ALICE) is State.ACTIVE
    world.keys.enable()
    assert world.erase(case)[-1] == "Erased"
    assert world.certificate(case)["payload"]["canary"]["ciphertext"]


@pytest.mark.parametrize("damaged", [False, True], ids=["refused", "damaged"])
def test_what_a_hold_keeps_and_nothing_opens_stops_the_erasure_before_anything_is_lost(
    world: Tenant, damaged: bool
) -> None:
    # given a hold on chats that cannot be read to be kept
    world.store_under()
    world.hold(ALICE, ("completion",))
    before = world.rows_of(ALICE)
    sound = world.wraps.items[PROJECT, ALICE]
    if damaged:
        world.wraps.items[PROJECT, ALICE] = replace(sound, wraps={1: b"damaged" * 10})
    else:
        world.keys.disable(TENANT)
    # then the erasure fails while all can be taken back
    case = world.case()
    assert world.erase(case)[-1] == "Failed"
    assert (world.again(case).stage, world.rows_of(ALICE), world.state(ALICE)) == ("reversible", before, State.ACTIVE)
    # and goes on when the key answers again
    world.keys.enable(TENANT)
    world.wraps.items[PROJECT, ALICE] = replace(world.wraps.items[PROJECT, ALICE], wraps=sound.wraps)
    assert world.erase(case)[-1] == "Erased"
    assert world.outcomes(case)["records"][-1] == ("held", 1)


def test_a_hold_on_rows_in_clear_does_not_need_the_key(world: Tenant) -> None:
    world.store_under()
    world.days.disclose(PROJECT, ALICE, "local-model", 1, 2)
    world.hold(ALICE, ("day",))
    world.keys.destroy(TENANT)
    case = world.case()
    assert world.erase(case)[-1] == "Erased"
    assert world.outcomes(case)["records"][-1] == ("held", 1)


def test_what_was_held_ends_with_its_hold_though_its_key_refuses(world: Tenant) -> None:
    # given what a hold keeps under a key of the case, wrapped under the tenant's
    world.store_under()
    world.hold(ALICE, ("completion",), days=10)
    case = world.case()
    world.erase(case)
    world.keys.destroy(TENANT)
    # when the hold has ended
    world.clock.advance(11 * DAY)
    assert world.erase(case)[-1] == "Erased"
    # then it is gone, and the second certificate says what could not be shown
    assert (world.again(case).status, world.rows_of(ALICE)) == ("completed", [])
    assert world.state("hold_" + case.id) is State.ERASED
    assert any("refused" in note for note in release_of(world, case)["notes"])
