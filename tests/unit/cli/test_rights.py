"""What the officer decides on the command line: clocks, denials, holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.main
import chatapi_cli.rights
from chatapi.catalogue import Catalogued
from chatapi.store.case_states import COMMIT, START
from chatapi.store.items import MemoryTable, Table
from chatapi.store.keys import held_case_sk, open_pk
from tests.unit.cli.test_requests import PROJECT, REQUEST, FakeTarget


class Target(FakeTarget):
    """The same with subjects and holds."""

    def requests(self) -> Table:
        return Catalogued(self.table, "requests")

    def records(self) -> Table:
        return Catalogued(MemoryTable(), "records")

    def subject(self, project: str, user: str | None) -> str:
        return "sub_" + (user or "owner").replace(" ", "")


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()
    monkeypatch.setattr(chatapi_cli.rights, "find", lambda stack: made)
    made.cases().create(PROJECT, REQUEST, "erasure", "sub_x", 4_000_000_000)
    return made


def run(*words: str, stdin: str = "") -> tuple[int, Any]:
    result = CliRunner().invoke(chatapi_cli.main.app, list(words), input=stdin)
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, lines[0] if len(lines) == 1 else lines


def test_a_pause_and_its_end_start_the_work_again(target: Target) -> None:
    assert run("requests", "pause", PROJECT, REQUEST)[1]["status"] == "on_hold"
    assert run("requests", "continue", PROJECT, REQUEST)[1]["status"] == "received"
    assert len(target.started) == 1
    assert run("requests", "continue", PROJECT, REQUEST)[0] == 1


def test_an_extension_and_a_denial_carry_known_reasons_once(target: Target) -> None:
    assert run("requests", "extend", PROJECT, REQUEST, "--reason", "lazy")[0] == 1
    assert run("requests", "extend", PROJECT, REQUEST, "--reason", "complexity")[0] == 0
    assert run("requests", "extend", PROJECT, REQUEST, "--reason", "number")[0] == 1
    assert run("requests", "deny", PROJECT, REQUEST, "--reason", "because")[0] == 1
    assert run("requests", "deny", PROJECT, REQUEST, "--reason", "excessive")[1]["status"] == "failed"
    assert run("requests", "deny", PROJECT, REQUEST, "--reason", "excessive")[0] == 1
    assert run("requests", "deny", PROJECT, "dsr_" + "9" * 24, "--reason", "excessive")[0] == 1


def test_a_restriction_and_its_end_are_requests_of_the_subject(target: Target) -> None:
    for command, restricted in (("restrict", True), ("lift", False)):
        code, made = run("requests", command, PROJECT, "--user", "-", stdin="x\n")
        assert (code, made["restricted"], made["status"]) == (0, restricted, "received")
        case = target.cases().get(PROJECT, made["request"])
        assert (case.type, case.subject, case.get("restricted")) == ("restriction", "sub_x", restricted)
    assert len(target.started) == 2
    assert run("requests", "lift", PROJECT)[0] == 1


def test_a_hold_is_added_listed_and_released_and_its_case_goes_on(target: Target) -> None:
    made = ("holds", "add", PROJECT, "--basis", "tax law", "--by", "dpo", "--days", "9")
    code, hold = run(*made, "--user", "-", "--kind", "day", stdin="x\n")
    assert (code, hold["kinds"]) == (0, ["day"])
    _, shown = run("holds", "list", PROJECT, "--user", "x")
    assert (shown["hold"], shown["basis"], shown["in_force"]) == (hold["hold"], "tax law", True)
    pointer = {"pk": open_pk(PROJECT, "sub_x"), "sk": held_case_sk(REQUEST), "kind": "open", "case": REQUEST}
    target.table.put(pointer)
    _, released = run("holds", "release", PROJECT, hold["hold"], "--user", "x")
    assert released == {"released": hold["hold"], "erasing": [REQUEST]}
    assert len(target.started) == 1
    assert any(row["kind"] == "timer" for row in target.table.rows.values())
    assert run("holds", "list", PROJECT, "--user", "x")[1]["in_force"] is False


def test_a_hold_that_comes_after_the_point_of_no_return_is_said_to_come_too_late(target: Target) -> None:
    made = ("holds", "add", PROJECT, "--basis", "b", "--by", "dpo", "--days", "9", "--user", "x", "--kind", "day")
    cases = target.cases()
    case = cases.act(cases.get(PROJECT, REQUEST), START)
    assert run(*made)[1]["too_late_for"] == []
    cases.act(case, COMMIT)
    assert run(*made)[1]["too_late_for"] == [REQUEST]


@pytest.mark.parametrize("kind", ["alias", "subject_key", "case", "nonsense"])
def test_what_cannot_be_held_is_refused_before_it_stands_in_the_way(target: Target, kind: str) -> None:
    made = ("holds", "add", PROJECT, "--basis", "b", "--by", "dpo", "--days", "9", "--owner", "--kind", kind)
    assert run(*made)[0] == 1
    assert run("holds", "list", PROJECT, "--owner")[1] == []


def test_a_subject_is_selected_once(target: Target) -> None:
    assert run("holds", "list", PROJECT)[0] == 1
    assert run("holds", "list", PROJECT, "--user", "x", "--owner")[0] == 1
    assert run("holds", "release", PROJECT, "hold_x", "--user", "x")[0] == 1
