"""The operators' command: projects and keys, readable and as JSON, exit code 0 only on success."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import chatapi_cli.keys
import chatapi_cli.main
from authorizer.service import Authorizer
from chatapi.catalogue import Catalogued, read_policy
from chatapi.clock import FixedClock, SystemClock
from chatapi.grants import Grant
from chatapi.keys import check_key
from chatapi.store.items import MemoryTable
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_states import ProjectStates, shown
from chatapi.store.projects import MAX_KEYS, Limits, Projects
from chatapi.vault import KeyUnavailable
from chatapi_cli.target import TargetError
from tests.support.fake_projects import FakeProjects

MINT, PEPPER = b"m" * 32, b"p" * 32


@dataclass
class FakeTarget:
    """A stack whose Projects table is in memory."""

    table: MemoryTable = field(default_factory=lambda: MemoryTable(None))
    region: str = "eu-central-1"
    stage: str = "local"

    def output(self, name: str) -> str:
        return {"Stage": self.stage}[name]

    def projects(self) -> Projects:
        return Projects(Catalogued(self.table, "projects"), mint=MINT, pepper=PEPPER, clock=SystemClock())


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    made = FakeTarget()
    for module in (chatapi_cli.main, chatapi_cli.keys):
        monkeypatch.setattr(module, "find", lambda stack: made)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(chatapi_cli.main.app, words)


def created(*words: str) -> dict[str, Any]:
    result = run("projects", "create", "--name", "n", *words, "--json")
    assert result.exit_code == 0, result.output
    made: dict[str, Any] = json.loads(result.output)
    return made


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_what_is_not_given_is_the_stages(target: FakeTarget, stage: str) -> None:
    # given a stack of a stage, when a project is created with one limit of its own
    target.stage = stage
    item = target.table.rows["p#" + created("--rpm", "7")["project_id"], None]
    # then the others are those of policy/limits.toml
    defaults = read_policy("limits")[stage]
    assert defaults.keys() >= {"rpm", "tpm", "rpd", "tpmo", "conc", "prm"}
    assert {name: item[name] for name in defaults} == {**defaults, "rpm": 7}


def test_a_project_is_created_with_its_limits_and_a_key_that_opens_it(target: FakeTarget) -> None:
    made = created("--rpm", "7", "--tpm", "5000", "--rpd", "9", "--concurrency", "2", "--retention", "history")
    item = target.table.rows["p#" + made["project_id"], None]
    assert (item["rpm"], item["tpm"], item["rpd"], item["conc"], item["ret"]) == (7, 5000, 9, 2, "history")
    assert check_key(MINT, made["api_key"]) == (made["project_id"], "k1")
    assert made["api_key"] not in repr(item)
    # and the authorizer lets it in
    authorizer = Authorizer(FakeProjects(item), table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=FixedClock())
    request: Any = {"method": "GET", "resource": "/v1/models", "content_length": None}
    assert authorizer.decide("Bearer " + made["api_key"], **request).scopes == {"chat", "history", "privacy"}


def test_retention_is_none_unless_told(target: FakeTarget) -> None:
    assert target.table.rows["p#" + created()["project_id"], None]["ret"] == "none"


def test_every_ceiling_that_a_project_is_made_with_can_be_given_later(target: FakeTarget) -> None:
    project = created("--retention", "history:30")["project_id"]
    states = ProjectStates(target.table, FixedClock())
    for ceiling in ("none", "history:7", "history"):
        states.update(project, {}, name=None, retention=ceiling)
        assert shown(states.get(project))["retention"] == ceiling
    with pytest.raises(ProjectError):
        states.update(project, {}, name=None, retention="history:0")


def test_what_is_redacted_is_set_for_a_project_and_for_a_key(target: FakeTarget) -> None:
    # given a project and a key that demand something, each in its own words
    project = created("--redact", "card,email")["project_id"]
    row = "p#" + project, None
    assert target.table.rows[row]["red"] == "email card"
    assert run("keys", "create", project, "--redact", "all", "--name", "k").exit_code == 0
    (key,) = (k for k in json.loads(run("keys", "list", project, "--json").output) if k["name"] == "k")
    assert key["redact"] == "all"
    assert "redact all  k" in run("keys", "list", project).output
    # then it can be changed and taken away, and stays where it is not given
    states = ProjectStates(target.table, FixedClock())
    for given, kept in ((None, "email card"), ("all", "all"), ("none", "none")):
        states.update(project, {}, name=None, retention=None, redact=given)
        assert shown(states.get(project))["redact"] == kept
    # and what is no kind is refused
    with pytest.raises(ProjectError):
        states.update(project, {}, name=None, retention=None, redact="names")
    assert run("keys", "create", project, "--redact", "names").exit_code != 0
    assert "red" not in target.table.rows["p#" + created()["project_id"], None]


def test_keys_are_added_listed_rotated_and_revoked(target: FakeTarget) -> None:
    project = created()["project_id"]
    added = json.loads(run("keys", "create", project, "--scope", "chat", "--days", "3", "--json").output)
    kid = added["api_key"][21:23]
    rotated = json.loads(run("keys", "rotate", project, kid, "--json").output)
    listed = json.loads(run("keys", "list", project, "--json").output)
    assert len(listed) == 3
    assert {tuple(key["scopes"]) for key in listed if key["kid"] != "k1"} == {("chat",)}
    assert rotated["api_key"] not in run("keys", "list", project).output
    assert run("keys", "revoke", project, kid).exit_code == 0
    assert kid not in {key["kid"] for key in json.loads(run("keys", "list", project, "--json").output)}


def test_every_limit_of_a_project_has_an_option(target: FakeTarget) -> None:
    words = ["--tpmo=10", "--prm=3", "--spend=0.25", "--concurrency=0", "--lease=8", "--user-rpm=4", "--user-tpm=5"]
    item = target.table.rows["p#" + created(*words)["project_id"], None]
    kept = {"tpmo": 10, "prm": 3, "smo": 250_000, "conc": 0, "lease": 8, "urpm": 4, "utpm": 5}
    assert {name: item[name] for name in kept} == kept
    # and what is optional is not there unless it is asked for
    assert not {"lease", "urpm", "utpm"} & target.table.rows["p#" + created()["project_id"], None].keys()


def test_a_key_has_limits_of_its_own(target: FakeTarget) -> None:
    project = created()["project_id"]
    assert run("keys", "create", project, "--rpm", "5", "--tpm", "50", "--spend", "2", "--name", "own").exit_code == 0
    (key,) = (k for k in json.loads(run("keys", "list", project, "--json").output) if k["name"] == "own")
    assert (key["rpm"], key["tpm"], key["spend"], key["last_used_on"]) == (5, 50, 2_000_000, None)
    assert "requests/min 5  tokens/min 50  micro-USD/month 2000000" in run("keys", "list", project).output


def test_a_key_has_what_the_options_say_and_rotates_with_it(target: FakeTarget) -> None:
    project = created()["project_id"]
    restrictions = ["--model", "a", "--cidr", "10.0.0.0/8", "--cidr", "2001:db8::/32", "--retention", "none"]
    made = json.loads(run("keys", "create", project, "--name", "ci runner", *restrictions, "--json").output)
    old = made["api_key"][21:23]
    assert run("keys", "rotate", project, old, "--overlap", "60").exit_code == 0
    keys = [k for k in json.loads(run("keys", "list", project, "--json").output) if k["name"] == "ci runner"]
    assert len(keys) == 2
    for key in keys:
        assert (key["models"], key["retention"]) == (["a"], "none")
        assert key["cidrs"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert {key["expires"] is None for key in keys if key["kid"] == old} == {False}
    assert "from 10.0.0.0/8 2001:db8::/32  retention none  ci runner" in run("keys", "list", project).output


@pytest.mark.parametrize(
    "words",
    [
        ("--cidr", "10.0.0.1/8"),
        ("--cidr", "10.0.0.1"),
        ("--cidr", "x"),
        ("--model", "a b"),
        ("--retention", "history"),
        ("--name", "x" * 65),
        ("--name", "\x1b[2J"),
        ("--scope", "everything"),
        ("--days", "0"),
    ],
)
def test_a_key_with_values_that_are_none_is_not_made(target: FakeTarget, words: tuple[str, ...]) -> None:
    project = created()["project_id"]
    assert run("keys", "create", project, *words).exit_code != 0
    assert len(target.projects().keys(project)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "list", "nosuchpr"),
        ("keys", "revoke", "nosuchpr", "k1"),
        ("keys", "rotate", "nosuchpr", "k1"),
        ("projects", "create", "--name", "n", "--retention", "for-ever"),
        ("projects", "create", "--name", "n", "--rpm", "0"),
        ("projects", "create", "--name", "n", "--lease", "8"),
        ("projects", "create", "--name", "n", "--concurrency", "0", "--lease", "1"),
        ("projects", "create", "--name", "n", "--spend", "0"),
        ("projects", "create", "--name", "n", "--region", "us-east-1"),
        ("projects", "create"),
    ],
)
def test_what_is_not_possible_ends_with_an_exit_code(target: FakeTarget, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code != 0


@pytest.mark.parametrize("fault", [TargetError("No stack."), KeyUnavailable()])
def test_a_fault_is_one_line_without_a_traceback(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere(stack: str | None) -> None:
        raise fault

    monkeypatch.setattr(chatapi_cli.keys, "find", nowhere)
    monkeypatch.setattr("sys.argv", ["chatapi", "keys", "list", "x"])
    with pytest.raises(SystemExit) as caught:
        chatapi_cli.main.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"{fault}\n"


def test_a_project_has_at_most_eight_keys(target: FakeTarget) -> None:
    projects = target.projects()
    project, _ = projects.create("n", Limits(), region="eu-central-1")
    for _ in range(MAX_KEYS - 1):
        projects.add_key(project, Grant(("chat",)))
    with pytest.raises(ProjectError, match="at most 8"):
        projects.add_key(project, Grant(("chat",)))


def test_an_unknown_scope_is_refused(target: FakeTarget) -> None:
    projects = target.projects()
    project, _ = projects.create("n", Limits(), region="eu-central-1")
    with pytest.raises(ProjectError, match="scopes"):
        projects.add_key(project, Grant(("everything",)))
