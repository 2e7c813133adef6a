"""Signals of abuse: failures are counted by address and day, the address is kept nowhere, and days cannot be linked."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import authorizer.handler
from authorizer.service import Denied, Unauthorized
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock, day_of
from chatapi.signals import (
    FLUSH_SECONDS,
    MOST_ADDRESSES,
    MOST_ROWS,
    OTHERS,
    PAUSE_SECONDS,
    Signals,
    client_class,
    hashed,
)
from chatapi.store.items import Item, MemoryTable
from chatapi.store.salts import DAY, salt_pk
from chatapi.store.signals import live_signals
from chatapi.verdict import INSUFFICIENT_SCOPE, Verdict

CANARY = "203.0.113.77"
AGENT = "Mozilla/5.0 (canary; OddPhone 9) Mobile"


class World:
    """The signals of one warm function over a table in memory whose calls are counted."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.table = Counting(self.clock)
        self.signals = self.warm()

    def warm(self) -> Signals:
        """Another warm function on the same table."""
        return Signals(lambda: Catalogued(self.table, "signals"), self.clock)

    def fail(self, address: str | None = CANARY, failure: str = "unauthorized", agent: str | None = AGENT) -> None:
        self.signals.note(failure, address, agent)

    def flush(self) -> list[dict[str, Any]]:
        """Wait, fail once from elsewhere, and read what stands; without that one failure."""
        self.clock.advance(FLUSH_SECONDS)
        self.signals.note("limited", "192.0.2.1", None)
        return [row for row in self.rows() if "limited" not in row["failures"]]

    def rows(self) -> list[dict[str, Any]]:
        return live_signals(self.table.rows.values(), self.clock.now())


class Counting(MemoryTable):
    def __init__(self, clock: FixedClock) -> None:
        super().__init__(None, clock.now)
        self.calls = 0
        self.down = False

    def _called(self) -> None:
        self.calls += 1
        if self.down:
            raise OSError

    def put(self, item: Item, **options: Any) -> None:
        self._called()
        super().put(item, **options)

    def update(self, *change: Any) -> Item:
        self._called()
        return super().update(*change)

    def delete_all(self, keys: Any) -> None:
        self._called()
        super().delete_all(keys)


@pytest.fixture
def world() -> World:
    return World()


def test_failures_are_counted_by_address_kind_and_coarse_class(world: World) -> None:
    for failure in ("unauthorized", "unauthorized", "forbidden"):
        world.fail(failure=failure)
    world.fail(agent="curl/8.0")
    (row,) = world.flush()
    assert row["failures"] == {"unauthorized": 3, "forbidden": 1}
    assert row["clients"] == {"browser-mobile": 3, "curl": 1}
    assert row["date"] == day_of(world.clock.now())


def test_neither_address_nor_client_string_is_stored_logged_or_kept(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.fail()
    assert CANARY not in repr(vars(world.signals))
    world.table.down = True
    world.clock.advance(FLUSH_SECONDS)
    world.fail()
    world.table.down = False
    world.clock.advance(PAUSE_SECONDS)
    world.fail()
    world.flush()
    everything = repr(world.table.rows) + repr(vars(world.signals)) + capsys.readouterr().out
    assert "signals_failed" in everything
    for canary in (CANARY, "canary", "OddPhone"):
        assert canary not in everything


def test_two_days_of_one_address_cannot_be_linked_once_the_day_is_over(world: World) -> None:
    # given the same address on two days
    world.fail()
    (first,) = world.flush()
    yesterday = salt_pk(day_of(world.clock.now()))
    kept = world.table.rows[yesterday, None]["salt"]
    assert first["address"] == hashed(kept, CANARY)
    world.clock.advance(DAY)
    world.fail()
    rows = world.flush()
    # then the two rows have nothing in common, and the first day's salt is gone: from the store and from memory
    today = next(row for row in rows if row["date"] != first["date"])
    assert today["address"] != first["address"]
    assert (yesterday, None) not in world.table.rows
    assert kept.hex() not in repr(world.table.rows) + repr(vars(world.signals))
    assert repr(kept) not in repr(world.table.rows) + repr(vars(world.signals))


def test_a_salt_past_its_day_is_not_readable_even_where_nobody_deleted_it(world: World) -> None:
    world.fail()
    name = salt_pk(day_of(world.clock.now()))
    assert world.table.get(name) is not None
    world.clock.advance(DAY)
    assert world.table.get(name) is None


def test_warm_functions_share_the_salt_of_a_day(world: World) -> None:
    world.fail()
    other = world.warm()
    other.note("unauthorized", CANARY, None)
    assert other._salts.today() == world.signals._salts.today()


def test_an_expired_row_is_not_readable(world: World) -> None:
    world.fail()
    world.flush()
    world.clock.advance(29 * DAY)
    assert world.rows()
    world.clock.advance(2 * DAY)
    assert world.rows() == []
    assert world.table.rows, "TTL deletes lazily: the filter is what hides them"


def test_a_flood_costs_few_calls_and_little_memory(world: World) -> None:
    # when 20,000 failures come from 5,000 addresses within a second
    for number in range(20_000):
        world.fail(f"10.{number % 50}.{number // 50 % 100}.1")
    # then there was one call, for the salt (and one to delete the day's before)
    assert world.table.calls == 2
    assert len(world.signals._counts) <= MOST_ADDRESSES + 1
    # and the next flush writes a bounded number of rows, in which no failure is missing
    world.clock.advance(FLUSH_SECONDS)
    world.fail()
    assert world.table.calls <= 2 + MOST_ROWS + 1
    rows = world.rows()
    assert sum(row["failures"]["unauthorized"] for row in rows) == 20_001
    assert OTHERS in {row["address"] for row in rows}


def test_a_fault_of_signals_fails_nothing_and_rests(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.table.down = True
    for _ in range(100):
        world.fail()
    assert (world.table.calls, capsys.readouterr().out.count("signals_failed")) == (1, 1)
    world.table.down = False
    world.clock.advance(PAUSE_SECONDS)
    world.fail()
    assert len(world.flush()) == 1


def test_an_ipv6_customer_is_one_address_and_an_odd_one_is_no_fault(world: World) -> None:
    salt = b"s" * 32
    assert hashed(salt, "2001:db8:1:2::1") == hashed(salt, "2001:db8:1:2:ffff::9%eth0")
    assert hashed(salt, "2001:db8:1:2::1") != hashed(salt, "2001:db8:1:3::1")
    world.fail("no address:")
    world.fail(None)
    assert world.flush() == []


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (None, "none"),
        ("", "none"),
        ("OpenAI/Python 2.8.1", "openai-python"),
        ("AsyncOpenAI/Python 2.8.1", "openai-python"),
        ("OpenAI/JS 6.0", "openai-node"),
        ("curl/8.1", "curl"),
        ("python-requests/2", "python"),
        ("Mozilla/5.0 (X11; Linux)", "browser-desktop"),
        ("Mozilla/5.0 (iPhone) Mobile/15E148", "browser-mobile"),
        ("secret-canary-agent", "other"),
        ("x" * 10_000, "other"),
    ],
)
def test_a_client_is_one_of_a_few_words(agent: str | None, name: str) -> None:
    assert client_class(agent) == name


class Deciding:
    """An authorizer that always decides the same."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def decide(self, *_: Any, **__: Any) -> Verdict:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Verdict("project1", "k1", outcome=self.outcome)


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Unauthorized(), "unauthorized"),
        (Denied({"code": "x"}), "limited"),
        (INSUFFICIENT_SCOPE, "forbidden"),
        ("ok", None),
        (OSError(), None),
    ],
)
def test_the_authorizer_counts_what_it_refuses_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, failure: str | None
) -> None:
    noted: list[tuple[str, str | None, str | None]] = []

    class Recorder:
        def note(self, *what: Any) -> None:
            noted.append(what)

    monkeypatch.setattr(authorizer.handler._service, "made", Deciding(outcome))
    monkeypatch.setattr(authorizer.handler._signals, "made", Recorder())
    event = {
        "headers": {"User-Agent": AGENT},
        "httpMethod": "GET",
        "resource": "/v1/models",
        "methodArn": "arn:aws:execute-api:x:1:api/live/GET/v1/models",
        "requestContext": {"requestId": "r", "identity": {"sourceIp": CANARY}},
    }
    with contextlib.suppress(Exception):
        authorizer.handler.handler(event, None)
    assert noted == ([(failure, CANARY, AGENT)] if failure else [])
