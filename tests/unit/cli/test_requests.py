"""Data-rights requests and certificates on the command line."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.main
from chatapi.catalogue import Catalogued
from chatapi.store.cases import Cases
from chatapi.store.items import MemoryTable
from privacy.executions import StepFunctions

PROJECT, REQUEST = "abcdefgh", "dsr_" + "0" * 24


@dataclass
class FakeTarget:
    """A stack that remembers which executions were started."""

    table: MemoryTable = field(default_factory=MemoryTable)
    started: list[dict[str, Any]] = field(default_factory=list)

    def cases(self) -> Cases:
        return Cases(Catalogued(self.table, "requests"))

    def executions(self) -> StepFunctions:
        return StepFunctions(self, {name: f"{name.title()}Machine" for name in ("erasure", "export", "changes")})

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert operation == "StartExecution"
        self.started.append(payload)
        return {}


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    made = FakeTarget()
    monkeypatch.setattr(chatapi_cli.main, "find", lambda stack: made)
    return made


def test_a_request_is_resumed_with_its_ids_alone(target: FakeTarget) -> None:
    target.cases().create(PROJECT, REQUEST, "erasure", "sub_x", 1_800_000_000)
    result = CliRunner().invoke(chatapi_cli.main.app, ["requests", "resume", PROJECT, REQUEST, "--json"])
    assert (result.exit_code, json.loads(result.output)) == (0, {"resumed": REQUEST, "was": "received"})
    [started] = target.started
    assert json.loads(started["input"]) == {"project": PROJECT, "request": REQUEST}


def test_each_resumption_starts_an_execution_of_its_own(target: FakeTarget) -> None:
    """Given Step Functions, which starts nothing under a name that was used, two in one second are two names."""
    target.cases().create(PROJECT, REQUEST, "erasure", "sub_x", 1_800_000_000)
    for _ in range(2):
        CliRunner().invoke(chatapi_cli.main.app, ["requests", "resume", PROJECT, REQUEST])
        time.sleep(0.002)  # of the clock that names them
    assert len({started["name"] for started in target.started}) == 2


def test_a_request_that_is_not_there_is_not_said_to_be_resumed(target: FakeTarget) -> None:
    result = CliRunner().invoke(chatapi_cli.main.app, ["requests", "resume", PROJECT, REQUEST])
    assert result.exit_code == 1
    assert "no such request" in result.output
    assert not target.started


def test_a_request_by_mail_has_no_workflow_to_resume(target: FakeTarget) -> None:
    target.cases().create("intake", REQUEST, "intake", "sub_x", 1_800_000_000)
    result = CliRunner().invoke(chatapi_cli.main.app, ["requests", "resume", "intake", REQUEST])
    assert (result.exit_code, result.output) == (1, "a request by mail has no workflow: see chatapi mail\n")
    assert not target.started


def test_a_certificate_that_does_not_hold_is_said_so_to_scripts_too(tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    file.write_text("{}")
    words = ["verify", str(file), "--jwks", str(file), "--json"]
    result = CliRunner().invoke(chatapi_cli.main.app, words)
    assert (result.exit_code, json.loads(result.output)) == (1, {"valid": False, "findings": ["not a certificate"]})
