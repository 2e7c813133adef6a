"""Story: a million stored messages of one subject. Destroying the key costs what one message costs; the purge streams.

The rows come from an ordered fake that makes them up page by page, so what is measured is the product's memory. The
suites try one percent; `make prove` the million, with rate and cost.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest

from chatapi.clock import FixedClock
from chatapi.store.cases import Case
from chatapi.store.items import Item, Key, MemoryTable, Page
from privacy.tasks.erase import STEP_SECONDS
from tests.support.campaign import examples
from tests.unit.privacy.world import ALICE, PROJECT, Interrupted, World

COUNT = examples(10_000)
ROWS_A_PAGE = 500
"""Of 2 KiB each: a megabyte, which is what DynamoDB reads at once."""
WRITE_UNIT_USD = 0.625e-6
"""On demand, us-east-1 (Amazon DynamoDB pricing); other regions differ. A delete costs a unit for each KiB begun."""
UNITS_A_ROW = 3 + 1
"""A row of 2 KiB and its overhead, and its locator."""


class Endless(MemoryTable):
    """A Records table whose partition of one subject holds rows that are made up when they are asked for. `gone` is the
    first that is not deleted yet: a purge goes in order."""

    def __init__(self, count: int, now: Any) -> None:
        super().__init__(now=now)
        self.count, self.gone, self.queries, self.deletes = count, 0, 0, 0
        self.pk = f"s#{PROJECT}#{ALICE}#1"

    def page(self, pk: str, prefix: str = "", *, after: Any = None, **rest: Any) -> Page:
        if pk != self.pk:
            return super().page(pk, prefix, after=after, **rest)
        self.queries += 1
        start = max(self.gone, int(str(after).split("#")[1]) + 1 if after else 0)
        stop = min(self.count, start + ROWS_A_PAGE)
        found: list[Item] = [
            {"pk": pk, "sk": f"completion#{n:07d}#0000", "kind": "completion"} for n in range(start, stop)
        ]
        return Page(found, found[-1]["sk"] if stop < self.count else None)

    def delete_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.deletes += 1
            if key[0] == self.pk:
                assert str(key[1]) == f"completion#{self.gone:07d}#0000"  # in order, each once
                self.gone += 1


def erased(count: int) -> tuple[World, Endless, Case, int]:
    """A world whose subject's rows are endless, after its key was destroyed; and the calls that destroying took."""
    world = World()
    world.store()
    table = world.records = Endless(count, world.clock.now)
    world.ports = world._ports()
    case = world.case()
    world.task(case, "verify", "holds", "freeze", "inventory", "commit", "keep_held")
    before = world.breaker.calls
    world.task(case, "destroy")
    return world, table, case, world.breaker.calls - before


def test_destroying_the_key_costs_the_same_for_one_message_and_for_all() -> None:
    assert erased(1)[3] == erased(COUNT)[3]


def test_the_purge_streams_in_bounded_memory_and_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    world, table, case, _ = erased(COUNT)
    # given a purge that was killed on its way
    world.breaker.stop_at = world.breaker.calls + 20
    with pytest.raises(Interrupted):
        world.task(case, "delete")
    world.breaker.stop_at = None
    assert 0 < table.gone < COUNT
    # when it starts again
    killed_at = table.gone
    tracemalloc.start()
    began = time.perf_counter()
    world.task(case, "delete")
    seconds = time.perf_counter() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # then it goes on where it stopped
    assert table.gone == COUNT
    assert peak < 8 * 2**20
    done = COUNT - killed_at
    with capsys.disabled():
        print(
            f"\npurge: {done} rows, {done / seconds:,.0f} rows/s of our own work, peak {peak / 2**20:.1f} MiB,"
            f" about {UNITS_A_ROW * WRITE_UNIT_USD * 1e6:.2f} USD a million rows of 2 KiB in write units"
        )


class Slow(Endless):
    """Each batch of deletes takes a minute."""

    def __init__(self, count: int, clock: FixedClock) -> None:
        super().__init__(count, clock.now)
        self.clock = clock

    def delete_all(self, keys: Iterable[Key]) -> None:
        super().delete_all(keys)
        self.clock.advance(60)


def test_what_does_not_fit_into_one_run_of_the_function_is_deleted_in_several() -> None:
    # given more than one run deletes in its time
    world, _, case, _ = erased(COUNT)
    world.records = Slow(COUNT, world.clock)
    world.ports = world._ports()
    begun = world.clock.now()
    assert world.task(case, "delete") == {"done": False}
    assert STEP_SECONDS <= world.clock.now() - begun < 900
    # when the workflow goes on
    states = world.erase(case)
    # then it comes back to the task until nothing is left, and the figure is the whole
    assert states.count("Delete") > 1
    assert states[-1] == "Erased"
    assert world.records.gone == COUNT
    assert world.again(case).get("removed")["records"] >= COUNT
