"""An erasure takes the rows that name a person and leaves the project's numbers: they neither drop nor count twice."""

from __future__ import annotations

import pytest

from account.gather import gather
from chatapi.catalogue import Catalogued
from chatapi.clock import day_of
from chatapi.store.days import Charge
from chatapi.store.items import MemoryTable
from chatapi.store.usage import MemoryDayIndex, UsageRows
from chatapi.usage import Counts
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Interrupted, World

DAY = 86_400


def used(world: World) -> dict[str, Counts]:
    """What a gathering over all days finds, by day."""
    rows = UsageRows(Catalogued(MemoryTable(None), "projects"))
    rows.mark(world.clock.now() - 9 * DAY)
    gather(MemoryDayIndex(world.records), rows, world.clock)
    found, _ = rows.read(PROJECT, [day_of(world.clock.now() - n * DAY) for n in range(10)])
    return {date: counts for date, by in found.items() for counts in by.values()}


@pytest.fixture
def world() -> World:
    made = World()
    for subject in (ALICE, BOB, ALICE):
        made.store(subject)
    made.clock.advance(DAY)
    made.store(ALICE)
    return made


def test_usage_is_the_same_after_an_erasure(world: World) -> None:
    before = used(world)
    assert sorted(counts.requests for counts in before.values()) == [1, 3]
    assert world.erase(world.case())[-1] == "Erased"
    assert used(world) == before
    # and what is left of it names nobody
    left = [row for row in world.records.rows.values() if row["kind"] == "remainder"]
    assert len(left) == 2
    assert "sub_" not in repr(left)
    assert world.rows_of(ALICE) == []


@pytest.mark.parametrize("after", [False, True])
def test_an_erasure_that_is_interrupted_anywhere_in_its_deletion_counts_once(after: bool) -> None:
    stop = 0
    while True:
        stop += 1
        world = World()
        world.store(ALICE)
        world.store(BOB)
        before, case = used(world), world.case()
        world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy")
        world.breaker.calls, world.breaker.stop_at, world.breaker.after = 0, stop, after
        try:
            world.task(case, "delete")
        except Interrupted:
            world.breaker.stop_at = None
            world.task(case, "delete")
        else:
            break
        assert used(world) == before, stop
        assert world.rows_of(ALICE) == []
    assert stop > 5


def test_a_chat_that_counts_while_its_row_is_deleted_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    # given an erasure that has read the row
    world, fold = World(), MemoryTable.fold
    world.store(ALICE)
    raced: list[bool] = []

    def racing(self: MemoryTable, key: tuple[str, str], *rest: object) -> None:
        if not raced:
            raced.append(True)
            since = self.rows[key]["since"]
            world.days.disclose(PROJECT, ALICE, "local-model", 1, 2, since=since, charge=Charge("k1", "smollm2-135m"))
        fold(self, key, *rest)  # type: ignore[arg-type]

    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held", "destroy")
    # when another chat counts in it before it goes
    monkeypatch.setattr(MemoryTable, "fold", racing)
    world.task(case, "delete")
    # then both are in the numbers, and the row is gone
    assert (raced, world.rows_of(ALICE)) == ([True], [])
    assert [counts.requests for counts in used(world).values()] == [2]
