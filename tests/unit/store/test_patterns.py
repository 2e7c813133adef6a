"""Usage patterns: a name of a day, coarse counts, and nothing about few people (COL-2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock, day_of
from chatapi.store.items import Collision, Item, MemoryTable
from chatapi.store.patterns import FEWEST, Patterns, Use, by_day
from chatapi.store.salts import DAY, salt_pk


class World:
    """The table, and warm functions over it."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.table = MemoryTable(sort=None, now=self.clock.now)
        self.patterns = self.warm()

    def warm(self) -> Patterns:
        return Patterns(Catalogued(self.table, "patterns"), self.clock)

    def rows(self) -> list[Item]:
        return [row for row in self.table.rows.values() if row["kind"] == "pattern"]


def test_two_days_of_one_person_cannot_be_linked() -> None:
    # given a person who is counted on two days, by a function that stays warm and by others
    world = World()
    world.patterns.count("p", "alice", Use("m"))
    world.warm().count("p", "alice", Use("m"))
    (first,) = world.rows()
    salt = world.table.rows[salt_pk(day_of(world.clock.now())), None]["salt"]
    world.clock.advance(DAY)
    world.patterns.count("p", "alice", Use("m"))
    # then the rows have nothing in common but what everybody's have
    one, other = sorted(world.rows(), key=lambda row: str(row["date"]))
    assert one["pk"].split("#")[2] != other["pk"].split("#")[2]
    assert (first["n_requests"], other["n_requests"]) == (2, 1)
    # and the salt that would link the first to her is gone, from the table and from the function
    assert salt_pk(first["date"]) not in [pk for pk, _ in world.table.rows]
    assert salt not in [row.get("salt") for row in world.table.rows.values()]
    assert salt not in repr(vars(world.patterns._salts)).encode()


def test_a_salt_is_past_its_term_at_midnight_though_nobody_came_to_delete_it() -> None:
    world = World()
    world.patterns.count("p", "alice", Use("m"))
    date, now = day_of(world.clock.now()), world.clock.now()
    world.clock.advance(DAY - now % DAY - 1)
    assert world.table.get(salt_pk(date)) is not None
    world.clock.advance(1)
    assert world.table.get(salt_pk(date)) is None


def test_patterns_end_after_their_term() -> None:
    world = World()
    world.patterns.count("p", "alice", Use("m"))
    (row,) = world.rows()
    assert row["ttl"] == world.clock.now() + 30 * DAY
    assert by_day(world.rows(), world.clock.now())
    assert by_day(world.rows(), row["ttl"]) == []


def test_people_of_two_projects_are_two() -> None:
    world = World()
    world.patterns.count("p", "alice", Use("m"))
    world.patterns.count("q", "alice", Use("m"))
    assert len(world.rows()) == 2


@given(st.integers(0, 10**7))
def test_tokens_become_one_of_three_words(tokens: int) -> None:
    found = Use("m", ("stream",), tokens).counters()
    assert found.keys() - {"n_requests", "n_stream", "m_m"} <= {"n_short", "n_medium", "n_long"}
    assert set(found.values()) == {1}


@pytest.mark.parametrize("people", [1, FEWEST - 1, FEWEST])
def test_nothing_is_said_of_few_people(people: int) -> None:
    world = World()
    for number in range(people):
        features = ("tools",) if number == 0 else ()
        for _ in range(3):
            world.patterns.count("p", f"person-{number}", Use("smollm2", features, 10))
    (day,) = by_day(world.table.rows.values(), world.clock.now())
    if people < FEWEST:
        assert (day["people"], day["features"], day["models"]) == (None, {}, {})
    else:
        assert (day["people"], day["requests_median"]) == (people, 3)
        assert (day["features"], day["models"]) == ({"short": people}, {"smollm2": people})  # one used tools: withheld


def test_a_store_that_hides_what_stands_is_no_salt() -> None:
    class Silent(MemoryTable):
        def put(self, *_: object, **__: object) -> None:
            raise Collision

    clock = FixedClock()
    with pytest.raises(Collision):
        Patterns(Catalogued(Silent(sort=None), "patterns"), clock).count("p", "alice", Use("m"))
