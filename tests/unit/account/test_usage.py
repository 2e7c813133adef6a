"""Usage: counted in day rows, gathered into rows that name nobody, read by the project's owner as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import account.handler
from account.gather import DAY, gather
from account.service import Keys, Services
from account.usage import Usage
from chatapi.catalogue import Catalogued
from chatapi.clock import FixedClock, day_of
from chatapi.store.days import Charge, Days
from chatapi.store.items import MemoryTable
from chatapi.store.projects import Projects
from chatapi.store.usage import MemoryDayIndex, UsageRows
from chatapi.usage import Counts, counted, counters, spelled, to_csv
from chatapi.verdict import INSUFFICIENT_SCOPE, Verdict
from tests.support.campaign import examples

PROJECT = "project1"
CANARY = "sub_canary"


class World:
    """Chats, the schedule and the API of one deployment, in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FixedClock()
        self.records, self.projects = MemoryTable(now=self.clock.now), MemoryTable(None, now=self.clock.now)
        self.days = Days(Catalogued(self.records, "records"), self.clock)
        table = Catalogued(self.projects, "projects")
        self.rows = UsageRows(table)
        keys = Keys(Projects(table, mint=b"m" * 32, pepper=b"p" * 32, clock=self.clock), self.clock)
        monkeypatch.setattr(account.handler._composed, "made", Services(keys, Usage(self.rows, self.clock)))

    def chat(self, tokens: int = 1, *, subject: str = CANARY, project: str = PROJECT, kid: str = "k1") -> None:
        charge = Charge(kid, "smollm2-135m", cached=2, micro_usd=7)
        self.days.disclose(project, subject, "local-model", tokens, 3, charge=charge)

    def gather(self) -> int:
        return gather(MemoryDayIndex(self.records), self.rows, self.clock)

    def call(self, *, outcome: str = "ok", headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        event = {
            "httpMethod": "GET",
            "path": "/v1/usage",
            "resource": "/v1/usage",
            "headers": headers or {},
            "multiValueQueryStringParameters": {k: v if isinstance(v, list) else [v] for k, v in query.items()} or None,
            "requestContext": {
                "requestId": "req-1",
                "authorizer": Verdict(PROJECT, "k1", outcome=outcome).to_context(),
            },
            "body": None,
            "isBase64Encoded": False,
        }
        return account.handler.handler(event, None)

    def usage(self, **query: Any) -> dict[str, Any]:
        answer = self.call(**query)
        assert answer["statusCode"] == 200, answer["body"]
        body: dict[str, Any] = json.loads(answer["body"])
        return body

    @property
    def today(self) -> str:
        return spelled(day_of(self.clock.now()))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_before_the_first_gathering_there_is_nothing_and_it_says_so(world: World) -> None:
    world.chat()
    body = world.usage()
    assert (body["data"], body["gathered_at"]) == ([], None)
    assert len(body["start"]) == len(body["end"]) == 10


def test_chats_are_counted_by_day_key_and_model_and_the_row_names_nobody(world: World) -> None:
    # given chats of two people with two keys, and one of another project
    world.chat(10)
    world.chat(20, subject="sub_b")
    world.chat(5, kid="k2")
    world.chat(99, project="project2")
    # when the schedule has run
    assert world.gather() == 2
    # then the lines add them up
    line = {"day": world.today, "model": "smollm2-135m"}
    assert world.usage() == {
        "object": "usage",
        "start": spelled(day_of(world.clock.now() - 29 * DAY)),
        "end": world.today,
        "group_by": ["day", "key", "model"],
        "gathered_at": int(world.clock.now()),
        "data": [
            {**line, "key_id": "k1", **_numbers(2, 30, 4, 6, 14)},
            {**line, "key_id": "k2", **_numbers(1, 5, 2, 3, 7)},
        ],
    }
    assert world.usage(group_by="model")["data"] == [{"model": "smollm2-135m", **_numbers(3, 35, 6, 9, 21)}]
    # and nothing in the gathered rows stands for a person
    assert "sub_" not in repr(world.projects.rows)


def _numbers(requests: int, tokens_in: int, cached: int, tokens_out: int, cost: int) -> dict[str, int]:
    names = ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd")
    return dict(zip(names, (requests, tokens_in, cached, tokens_out, cost), strict=True))


def test_gathering_again_changes_nothing_and_finds_what_came_late(world: World) -> None:
    world.chat()
    world.gather()
    before = world.usage()["data"]
    world.gather()
    assert world.usage()["data"] == before
    # when a chat of the evening is gathered the next morning only
    world.chat()
    world.clock.advance(DAY)
    world.gather()
    # then it stands on its own day
    assert [(line["day"] != world.today, line["requests"]) for line in world.usage()["data"]] == [(True, 2)]


def test_an_outage_of_the_schedule_loses_no_day(world: World) -> None:
    world.gather()
    for _ in range(5):
        world.chat()
        world.clock.advance(DAY)
    world.gather()
    assert len(world.usage()["data"]) == 5


def test_usage_ends_after_its_term(world: World) -> None:
    world.chat()
    world.gather()
    start, end = world.today, spelled(day_of(world.clock.now() + DAY))
    world.clock.advance(399 * DAY)
    assert len(world.usage(start=start, end=end)["data"]) == 1
    world.clock.advance(2 * DAY)
    assert world.usage(start=start, end=end)["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"start": "2026-13-01"}, "start"),
        ({"start": "20260101"}, "start"),
        ({"start": "2026-W01-1"}, "start"),
        ({"end": "x" * 10_000}, "end"),
        ({"start": "2026-02-02", "end": "2026-02-01"}, "end"),
        ({"start": "2026-01-01", "end": "2026-04-03"}, "start"),
        ({"group_by": "day,day"}, "group_by"),
        ({"group_by": "subject"}, "group_by"),
        ({"group_by": ""}, "group_by"),
        ({"format": "xml"}, "format"),
        ({"start": ["2026-01-01", "2026-01-02"]}, "start"),
        ({"user": "canary"}, None),
    ],
)
def test_a_query_that_is_none_is_refused_with_its_parameter(world: World, query: Any, param: str | None) -> None:
    answer = world.call(**query)
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["param"]) == (400, param)
    assert "canary" not in answer["body"]


def test_92_days_are_a_period(world: World) -> None:
    assert world.usage(start="2026-01-01", end="2026-04-02")["data"] == []


def test_a_key_without_the_scope_is_refused_before_the_query_is_read(world: World) -> None:
    answer = world.call(outcome=INSUFFICIENT_SCOPE, start="x")
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(("query", "headers"), [({"format": "csv"}, {}), ({}, {"ACCEPT": "text/html, text/csv;q=0.9"})])
def test_csv_is_an_attachment_with_the_same_lines(world: World, query: Any, headers: dict[str, str]) -> None:
    world.chat(10)
    world.gather()
    answer = world.call(headers=headers, group_by="key", **query)
    sent = answer["multiValueHeaders"]
    assert sent["content-type"] == ["text/csv; charset=utf-8"]
    assert sent["content-disposition"][0].startswith('attachment; filename="usage-20')
    assert sent["x-gathered-at"] == [str(int(world.clock.now()))]
    assert list(csv.DictReader(io.StringIO(answer["body"]))) == [
        {"key_id": "k1", **{name: str(value) for name, value in _numbers(1, 10, 2, 3, 7).items()}}
    ]


def test_format_json_wins_over_the_header(world: World) -> None:
    assert world.usage(headers={"accept": "text/csv"}, format="json")["object"] == "usage"


def test_without_usage_csv_is_its_header(world: World) -> None:
    assert world.call(format="csv")["body"].count("\r\n") == 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(name: str) -> None:
    line = {"model": name, **_numbers(1, 1, 1, 1, 1)}
    (row,) = list(csv.reader(io.StringIO(to_csv([line], ["model"]), newline="")))[1:]
    assert row[0] == "'" + name


@given(
    st.dictionaries(
        st.tuples(
            st.text("abzAZ09", min_size=2, max_size=2),
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/\-]{0,20}", fullmatch=True),
        ),
        st.tuples(*[st.integers(0, 10**9)] * 5),
        max_size=6,
    )
)
@settings(max_examples=examples(50))
def test_counters_of_a_row_are_read_as_they_were_written(by: dict[tuple[str, str], tuple[int, ...]]) -> None:
    row: dict[str, int] = {"requests": 1, "tokens_in": 2}
    for (kid, model), counts in by.items():
        row |= counters(kid, model, Counts(*counts))
    assert counted(row) == {name: Counts(*counts) for name, counts in by.items()}
