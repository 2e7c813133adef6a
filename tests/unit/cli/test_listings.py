"""What an operator sees of signals, usage patterns and data sets: as lines for people and as one JSON object."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.datasets
import chatapi_cli.main
import chatapi_cli.patterns
from chatapi.aws.av import to_item
from chatapi.catalogue import Catalogued
from chatapi.ledger import Ledger
from chatapi.store.datasets import DataSets, Entrant
from chatapi.store.items import Item, MemoryTable
from chatapi.store.signals import every_row, live_signals

LATER = int(time.time()) + 86_400
ADDRESS = {name: name * 32 for name in "abc"}


class Client:
    """DynamoDB with one table, in pages of two."""

    def __init__(self, rows: list[Item]) -> None:
        self.rows = [to_item(row) for row in rows]
        self.tables: list[str] = []

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert operation == "Scan"
        self.tables.append(payload["TableName"])
        start = int(payload.get("ExclusiveStartKey", {}).get("pk", {}).get("S", "0"))
        more = {"LastEvaluatedKey": {"pk": {"S": str(start + 2)}}} if start + 2 < len(self.rows) else {}
        return {"Items": self.rows[start : start + 2], **more}


def run(*words: str) -> str:
    result = CliRunner().invoke(chatapi_cli.main.app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def signal(date: str, address: str, ends: int = LATER, **counts: int) -> Item:
    return {"pk": f"a#{date}#{ADDRESS[address]}", "kind": "signal", "date": date, "ttl": ends, **counts}


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """The rows of the Signals table, read as the command reads them."""
    rows: list[Item] = []
    target = SimpleNamespace(signals=lambda: live_signals(every_row(Client(rows), "signals"), time.time()))
    monkeypatch.setattr(chatapi_cli.main, "find", lambda stack: target)
    return rows


def test_without_signals_there_is_a_line_that_says_so(signals: list[Item]) -> None:
    assert run("signals", "list") == "no signals\n"
    assert json.loads(run("signals", "list", "--json")) == {"data": []}


def test_signals_are_listed_with_most_failures_first_and_neither_salts_nor_what_has_expired(
    signals: list[Item],
) -> None:
    signals += [
        signal("20270101", "a", n_unauthorized=2, c_curl=2),
        {"pk": "salt#20270101", "kind": "salt", "salt": b"s" * 32, "ttl": LATER},
        signal("20270101", "b", n_unauthorized=3, n_limited=4, c_other=7),
        signal("20260101", "c", ends=1, n_unauthorized=99),
    ]
    assert run("signals", "list").splitlines() == [
        f"20270101  {ADDRESS['b']}  limited 4  unauthorized 3  other 7",
        f"20270101  {ADDRESS['a']}  unauthorized 2  curl 2",
    ]
    # and as JSON, above a number of failures
    assert json.loads(run("signals", "list", "--min", "3", "--json"))["data"] == [
        {
            "date": "20270101",
            "address": ADDRESS["b"],
            "failures": {"unauthorized": 3, "limited": 4},
            "clients": {"other": 7},
        }
    ]


@pytest.fixture
def patterns(monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """The rows of the Patterns table."""
    rows: list[Item] = []

    def found(stack: str | None) -> SimpleNamespace:
        return SimpleNamespace(client=lambda service: Client(rows), output=lambda name: name)

    monkeypatch.setattr(chatapi_cli.patterns, "find", found)
    return rows


def pattern(date: str, person: int, ends: int = LATER, **counts: int) -> Item:
    return {"pk": f"u#{date}#{person:032x}", "kind": "pattern", "date": date, "ttl": ends, **counts}


def test_patterns_count_people_and_say_nothing_of_days_with_few(patterns: list[Item]) -> None:
    # given a day with six people, of whom five streamed, one with four, and salts and rows that have expired
    patterns += [
        pattern("20270102", n, n_requests=n + 1, m_small=1, **({"n_stream": 1} if n else {})) for n in range(6)
    ]
    patterns += [pattern("20270101", n, n_requests=1) for n in range(4)]
    patterns += [pattern("20260101", n, ends=1, n_requests=1) for n in range(9)]
    patterns.append({"pk": "salt#20270102", "kind": "pattern_salt", "salt": b"s" * 32, "ttl": LATER})
    # then one day is told, and of the other that it was too few
    assert run("patterns").splitlines() == [
        "20270101  fewer than 5 people",
        "20270102  people 6  requests each 3  stream 5  small 6",
    ]
    first, second = json.loads(run("patterns", "--json"))["data"]
    assert first == {"date": "20270101", "people": None, "requests_median": None, "features": {}, "models": {}}
    assert (second["people"], second["features"], second["models"]) == (6, {"stream": 5}, {"small": 6})


def test_without_patterns_there_is_a_line_that_says_so(patterns: list[Item]) -> None:
    assert run("patterns") == "no patterns\n"


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> DataSets:
    requests, ledger = MemoryTable(), MemoryTable(sort="seq")
    made = DataSets(Catalogued(requests, "requests"), Ledger(Catalogued(ledger, "ledger")))
    monkeypatch.setattr(chatapi_cli.datasets, "find", lambda stack: None)
    monkeypatch.setattr(chatapi_cli.datasets, "_datasets", lambda target: made)
    return made


def test_data_sets_are_listed_by_name(datasets: DataSets) -> None:
    assert run("datasets", "list") == "no data sets\n"
    now = time.time()
    for name, people in (("second", 2), ("first", 1)):
        entrants = [Entrant("projectA", f"sub_{n:032}", 3, "0" * 64) for n in range(people)]
        datasets.record(name, "f" * 64, entrants, 4, now)
    assert run("datasets", "list").splitlines() == [
        "first  samples 3  people 1  left out 4",
        "second  samples 6  people 2  left out 4",
    ]
    listed = json.loads(run("datasets", "list", "--json"))["data"]
    assert [(each["name"], each["samples"], each["people"], each["left_out"]) for each in listed] == [
        ("first", 3, 1, 4),
        ("second", 6, 2, 4),
    ]
    assert "sub_" not in json.dumps(listed)
