"""What waits for the officer, on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.mail
from chatapi.catalogue import Catalogued
from chatapi.store.cases import Cases
from chatapi.store.items import MemoryTable
from chatapi_cli.main import app
from privacy.intake.service import INTAKE

NOW = 1_800_000_000


class FakeTarget:
    def __init__(self) -> None:
        self.table = MemoryTable()

    def cases(self) -> Cases:
        return Cases(Catalogued(self.table, "requests"))

    def output(self, name: str) -> str:
        return {"MailBucket": "the-bucket"}[name]

    def arrived(self, number: int, **facts: Any) -> str:
        """The id of a request that came by mail."""
        cases, name = self.cases(), f"dsr_{number:024}"
        cases.pause(cases.create(INTAKE, name, INTAKE, f"sub_{number:032}", NOW + number, **facts), NOW)
        return name


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    made = FakeTarget()
    monkeypatch.setattr(chatapi_cli.mail, "find", lambda stack: made)
    return made


def listed() -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["mail", "list"])
    assert result.exit_code == 0
    return [json.loads(line) for line in result.output.splitlines()]


def test_nothing_waits(target: FakeTarget) -> None:
    assert listed() == []


def test_what_waits_is_listed_with_its_mails_until_it_is_answered(target: FakeTarget) -> None:
    # given a mail and an agent's request
    by_mail = target.arrived(1, mails=["inbound/a", "inbound/b"])
    target.arrived(2, asks="erasure")
    # then both wait, and the mails can be found
    first, second = listed()
    assert first == {
        "request": by_mail,
        "asks": None,
        "at": NOW + 1,
        "mails": ["s3://the-bucket/inbound/a", "s3://the-bucket/inbound/b"],
    }
    assert (second["asks"], second["mails"]) == ("erasure", [])
    # and what was answered does not, once
    for code in (0, 1):
        assert CliRunner().invoke(app, ["mail", "answered", by_mail]).exit_code == code
    assert [line["request"] for line in listed()] == [second["request"]]


def test_many_are_all_listed(target: FakeTarget) -> None:
    names = [target.arrived(number) for number in range(230)]
    assert [line["request"] for line in listed()] == names
