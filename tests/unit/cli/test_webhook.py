"""`chatapi projects update --webhook`: where a project is told, its secret shown once."""

from __future__ import annotations

import base64

import pytest
from typer.testing import CliRunner, Result

import chatapi_cli.projects
from chatapi.catalogue import Catalogued
from chatapi.outbound import Outbound
from chatapi.store.items import MemoryTable
from chatapi.store.webhooks import Webhooks
from chatapi_cli.main import app
from tests.unit.cli.test_projects import FakeTarget, created

URL = "https://hooks.example.org/privacy"


class Target(FakeTarget):
    """A stack with a Requests table in memory."""

    requests = MemoryTable()

    def webhooks(self) -> Webhooks:
        return Webhooks(Catalogued(self.requests, "requests"), lambda: b"w" * 86)

    def outbound(self) -> Outbound:
        return Outbound()

    def projects_table(self) -> Catalogued:
        return Catalogued(self.table, "projects")


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()
    for module in (chatapi_cli.main, chatapi_cli.projects):
        monkeypatch.setattr(module, "find", lambda stack: made)
    return made


def update(project: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["projects", "update", project, *words])


def test_a_webhook_is_set_shown_its_secret_and_ended(target: Target) -> None:
    project = created()["project_id"]
    said = update(project, "--webhook", URL)
    assert said.exit_code == 0, said.output
    secret = base64.b64decode(said.output.strip().rpartition("whsec_")[2])
    webhook = target.webhooks().get(project)
    assert webhook is not None
    assert (webhook.url, target.webhooks().key(webhook)) == (URL, secret)
    # another update leaves it alone
    assert update(project, "--rpm", "7").exit_code == 0
    assert target.webhooks().get(project) == webhook
    assert update(project, "--webhook", "none").exit_code == 0
    assert target.webhooks().get(project) is None


@pytest.mark.parametrize("url", ["http://hooks.example.org/", "https://127.0.0.1/", "nonsense"])
def test_what_is_never_called_is_refused_and_changes_nothing(target: Target, url: str) -> None:
    project = created()["project_id"]
    said = update(project, "--webhook", url, "--rpm", "7")
    assert said.exit_code != 0
    assert target.webhooks().get(project) is None
    assert target.table.rows["p#" + project, None]["rpm"] != 7


def test_a_contact_has_one_way(target: Target) -> None:
    assert update("p", "--contact", "a@example.com").exit_code == 2
    assert update("nobody", "--webhook", URL).exit_code != 0
    assert target.webhooks().get("nobody") is None
