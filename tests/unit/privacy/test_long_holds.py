"""A legal hold lasts as long as it says, and as long as it is prolonged: no other term ends what it keeps."""

from __future__ import annotations

import io
import zipfile

import pytest

from chatapi.catalogue import Catalogued
from chatapi.store.holds import Holds
from chatapi.store.items import MemoryTable
from chatapi.store.keys import HOLD, held_case_sk, open_pk, subject_pk
from chatapi.vault import State
from privacy.clock import DAY
from tests.unit.privacy.test_clock import Office
from tests.unit.privacy.world import ALICE, PROJECT


class Years(Office):
    """The clock's office, over tables that delete what has expired at once: DynamoDB may."""

    def passes_by(self, days: int, step: int = 30) -> None:
        for _ in range(days // step):
            self.world.clock.advance(step * DAY)
            for table in (self.world.records, self.world.requests):
                _expire(table, self.world.clock.now())
            self.passes(0)

    def held_kinds(self) -> list[str]:
        """The kinds that stand of Alice."""
        return sorted({row["kind"] for row in self.world.records.rows.values() if f"#{ALICE}#" in str(row["pk"])})

    def add(self, kind: str, days: int) -> None:
        now = self.world.clock.now()
        Holds(Catalogued(self.world.requests, "requests")).add(PROJECT, ALICE, [kind], "law", "dpo", days=days, now=now)


def _expire(table: MemoryTable, now: float) -> None:
    for key in [key for key, row in table.rows.items() if row.get("ttl", 1 << 62) <= now]:
        del table.rows[key]


@pytest.fixture
def office() -> Years:
    return Years()


def test_what_a_hold_of_ten_years_keeps_outlives_every_other_term_and_ends_with_it(office: Years) -> None:
    # given a chat and its day row, which a hold keeps for longer than chats, day rows and requests are kept
    office.world.store(ALICE)
    office.world.hold(ALICE, ("completion", "day"), days=3650)
    case = office.world.case()
    office.world.erase(case)
    # when nine years have passed
    office.passes_by(9 * 360)
    # then it stands, and so does the request that is to end it
    assert office.held_kinds() == ["day", "held"]
    assert (office.world.again(case).status, office.world.again(case).get("until")) == (
        "on_hold",
        case.created + 3650 * DAY,
    )
    assert [found.id for found in office.world.cases.of_subject(PROJECT, ALICE)] == [case.id]
    assert office.world.requests.get(open_pk(PROJECT, ALICE), held_case_sk(case.id)) is not None
    # and when the hold has ended nothing is left, nor is the key
    office.passes_by(14 * 30)
    assert office.world.again(case).status == "completed"
    assert office.held_kinds() == []
    key = office.world.wraps.get(PROJECT, "hold_" + case.id)
    assert key is not None
    assert key.state is State.ERASED


@pytest.mark.parametrize("kind", ["completion", "day"])
def test_a_hold_that_is_prolonged_by_another_one_keeps_on(office: Years, kind: str) -> None:
    # given what a hold of 60 days keeps, and a second hold that is added before the first one ends
    office.world.store(ALICE)
    office.world.hold(ALICE, (kind,), days=60)
    case = office.world.case()
    office.world.erase(case)
    office.passes_by(30)
    office.add(kind, 900)
    # when the first has ended
    office.passes_by(600)
    # then all of it stands, under the second
    assert len(office.held_kinds()) == 1
    assert office.world.again(case).status == "on_hold"
    office.passes_by(360)
    assert office.world.again(case).status == "completed"
    assert office.held_kinds() == []


def test_what_has_ended_before_the_erasure_is_not_brought_back_by_a_hold(office: Years) -> None:
    office.world.store(ALICE)
    office.world.clock.advance(401 * DAY)  # its day row has expired, and stands still
    office.world.hold(ALICE, ("day",), days=10)
    case = office.world.case()
    office.world.erase(case)
    assert office.world.again(case).status == "completed"
    assert office.world.outcomes(case)["records"][-1][0] != "held"
    _expire(office.world.records, office.world.clock.now())
    assert office.held_kinds() == []


def test_the_number_that_a_held_day_leaves_ends_when_its_day_would_have(office: Years) -> None:
    office.world.store(ALICE)
    office.world.hold(ALICE, ("day",), days=100)
    office.world.erase(office.world.case())
    office.passes_by(120)
    (left,) = (row for row in office.world.records.rows.values() if row["kind"] == "remainder")
    assert left["ttl"] <= office.world.clock.now() + 280 * DAY


def test_a_copy_says_how_long_what_is_held_is_kept(office: Years) -> None:
    office.world.store(ALICE, b'{"messages":[],"completion":{}}')
    office.world.hold(ALICE, ("completion",), days=10)
    case = office.world.case()
    office.world.erase(case)
    (row,) = office.world.records.query(subject_pk(PROJECT, ALICE, HOLD))
    assert row["ttl"] > case.created + 3650 * DAY  # not what ends it
    copy = office.world.cases.create(PROJECT, "dsr_" + "3" * 24, "access", ALICE, office.world.clock.now())
    office.world.export(copy)
    lines = _file(office, "held.jsonl")
    assert f'"expires_at":{case.created + 10 * DAY}' in lines


def _file(office: Years, name: str) -> str:
    (archive,) = office.world.uploads.done.values()
    return zipfile.ZipFile(io.BytesIO(archive)).read(name).decode()
