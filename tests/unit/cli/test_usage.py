"""`chatapi usage`: a table for people, JSON and CSV for scripts."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner, Result

import chatapi_cli.main
from chatapi.catalogue import Catalogued
from chatapi.clock import day_of
from chatapi.store.items import MemoryTable
from chatapi.store.usage import UsageRows
from chatapi.usage import Counts


class FakeTarget:
    """A stack whose usage is in memory."""

    def __init__(self) -> None:
        self.rows = UsageRows(Catalogued(MemoryTable(None), "projects"))

    def usage(self) -> UsageRows:
        return self.rows


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    made = FakeTarget()
    monkeypatch.setattr(chatapi_cli.main, "find", lambda stack: made)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(chatapi_cli.main.app, ["usage", "project1", *words])


def test_usage_reads_as_a_table_with_a_total_and_says_how_fresh_it_is(target: FakeTarget) -> None:
    now = time.time()
    target.rows.put("project1", day_of(now), {("k1", "m"): Counts(2, 10, 1, 5, 1_500_000), ("k2", "m"): Counts(1)}, now)
    target.rows.mark(0)
    lines = run().output.splitlines()
    assert lines[0].split()[:3] == ["day", "key_id", "model"]
    assert lines[-2].split() == ["total", "3", "10", "1", "5", "1.500000"]
    assert lines[-1] == "gathered 1970-01-01T00:00:00Z"


def test_scripts_get_one_object_or_csv(target: FakeTarget) -> None:
    target.rows.put("project1", day_of(time.time()), {("k1", "m"): Counts(2)}, time.time())
    printed = json.loads(run("--json", "--group-by", "key").output)
    assert (printed["project_id"], printed["gathered_at"]) == ("project1", None)
    assert printed["data"][0]["requests"] == 2
    assert run("--csv", "--group-by", "model").stdout.splitlines()[1] == "m,2,0,0,0,0"


def test_without_usage_it_says_so(target: FakeTarget) -> None:
    assert run().output == "no usage; not gathered yet\n"


@pytest.mark.parametrize("words", [("--start", "yesterday"), ("--group-by", "user")])
def test_what_is_no_period_or_group_is_one_clear_line(target: FakeTarget, words: tuple[str, str]) -> None:
    result = run(*words)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
