"""`chatapi projects create --contact` and `chatapi projects contact`: where the owner is reached."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

import chatapi_cli.main
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.store.contacts import Contacts
from chatapi.store.items import MemoryTable
from chatapi.store.projects import Projects
from tests.support.canary import as_bytes
from tests.unit.privacy.world import World


class Target:
    """A stack in memory."""

    region = "eu-central-1"

    def __init__(self) -> None:
        self.world = World()
        self._projects = Projects(
            Catalogued(MemoryTable(None), "projects"), mint=b"m" * 32, pepper=b"p" * 32, clock=SystemClock()
        )

    def output(self, name: str) -> str:
        return {"Stage": "local"}[name]

    def projects(self) -> Projects:
        return self._projects

    def contacts(self) -> Contacts:
        return Contacts(self.world.kept, lambda: b"p" * 86)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()
    monkeypatch.setattr(chatapi_cli.main, "find", lambda stack: made)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *words: str, given: str = "") -> tuple[int, str]:
    """The whole command, as its entry point runs it."""
    result = CliRunner().invoke(chatapi_cli.main.app, words, input=given)
    if isinstance(result.exception, ValueError):  # what main() turns into a line
        return 1, str(result.exception)
    return result.exit_code, result.output


def test_a_contact_is_kept_encrypted_and_replaced(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("projects", "create", "--name", "n", "--contact", "first@example.com", "--json")
    code, out = run(monkeypatch, *words)
    assert code == 0
    project = json.loads(out)["project_id"]
    assert target.contacts().get(project) == "first@example.com"
    assert b"first@example.com" not in as_bytes([*target.world.records.rows.values()])
    assert run(monkeypatch, "projects", "contact", project, "-", given="second@example.com\n")[0] == 0
    assert target.contacts().get(project) == "second@example.com"


def test_what_is_no_address_is_refused_before_anything_is_made(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, "projects", "create", "--name", "n", "--contact", "nobody")
    assert code == 1
    assert "nobody" not in said
    assert target.world.records.rows == {}
    monkeypatch.setattr(sys, "argv", ["chatapi", "projects", "create", "--name", "n", "--contact", "nobody"])
    with pytest.raises(SystemExit) as ended:
        chatapi_cli.main.main()
    assert ended.value.code == 1
