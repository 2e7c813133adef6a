"""Closing a project: keys dead at once, every subject through the erasure machine, numbers kept, resumable, honest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from account.gather import gather
from authorizer.service import Authorizer, Unauthorized
from chatapi.catalogue import Catalogued
from chatapi.clock import day_of
from chatapi.grants import Grant
from chatapi.limits.admission import new_slot
from chatapi.store.cases import Case
from chatapi.store.items import MemoryTable
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_states import ProjectStates, shown
from chatapi.store.projects import Limits, Projects
from chatapi.store.usage import MemoryDayIndex, UsageRows
from chatapi.vault import State
from chatapi_cli.closing import Closing, Progress
from tests.support.fake_projects import FakeProjects
from tests.unit.privacy.world import ALICE, BOB, World

MINT, PEPPER = b"m" * 32, b"p" * 32


class Deployment:
    """The erasure's world, with a project whose subjects have data, and an operator."""

    def __init__(self) -> None:
        self.world = World()
        self.table = MemoryTable(None)
        catalogued = Catalogued(self.table, "projects")
        self.projects = Projects(catalogued, mint=MINT, pepper=PEPPER, clock=self.world.clock)
        self.states = ProjectStates(catalogued, self.world.clock)
        self.usage = UsageRows(catalogued)
        self.project, self.key = self.projects.create("acme", Limits(), region="eu-central-1")
        self.fails: set[str] = set()
        self.started: list[str] = []
        self.told: list[Progress] = []

    def start(self, name: str, case: Case) -> None:
        self.started.append(case.id)
        if case.subject not in self.fails:
            self.world.erase(case)

    def vault(self, project: str) -> Iterator[tuple[str, bool]]:
        for subject in (ALICE, BOB):
            if item := self.world.wraps.get(project, subject):
                yield subject, item.state is not State.ERASED

    def records(self, project: str) -> Iterator[tuple[str, str]]:
        for pk, _ in list(self.world.records.rows):
            if pk.startswith(f"s#{project}#"):
                yield pk.split("#")[2], pk.split("#")[3]

    def store(self, *subjects: str) -> None:
        for subject in subjects:
            self.world.store(subject, project=self.project)

    def close(self, seconds: float = 5) -> Progress:
        clock = self.world.clock
        closing = Closing(self.project, self.states, self.world.cases, self, self, now=clock.now, sleep=clock.advance)
        return closing.run(seconds, self.told.append)

    @property
    def item(self) -> dict[str, object]:
        return self.table.rows["p#" + self.project, None]

    def used(self) -> int:
        gather(MemoryDayIndex(self.world.records), self.usage, self.world.clock)
        found, _ = self.usage.read(self.project, [day_of(self.world.clock.now())])
        return sum(counts.requests for by in found.values() for counts in by.values())


@pytest.fixture
def made() -> Deployment:
    return Deployment()


def refused(made: Deployment) -> bool:
    store = FakeProjects(dict(made.item))  # type: ignore[arg-type]
    authorizer = Authorizer(store, table="T", mint=lambda: MINT, pepper=lambda: PEPPER, clock=made.world.clock)
    try:
        authorizer.decide("Bearer " + made.key, method="GET", resource="/v1/models", content_length=None)
    except Unauthorized:
        return True
    return False


def test_keys_die_every_subject_is_erased_and_the_numbers_stay(made: Deployment) -> None:
    # given a project with two subjects, another project of one of them, and usage
    made.store(ALICE, BOB, ALICE)
    made.world.store(ALICE)
    before = made.used()
    assert not refused(made)
    # when it is closed
    progress = made.close()
    # then it is, and says so
    assert progress == Progress(waiting=0, done=2, held=0, failed=0, chats=0)
    assert (progress.closed, shown(made.item)["state"], "name" in made.item) == (True, "closed", False)
    assert refused(made)
    # nothing of its subjects is left, everything of the other project's
    assert list(made.records(made.project)) == []
    assert [opens for _, opens in made.vault(made.project)] == [False, False]
    assert made.world.rows_of(ALICE)
    # and its usage is what it was
    assert made.used() == before == 3


def test_no_key_is_made_once_it_closes_and_keys_are_dead_before_anything_is_erased(made: Deployment) -> None:
    made.store(ALICE)
    made.fails = {ALICE}
    assert not made.close(2).closed
    assert refused(made)
    with pytest.raises(ProjectError, match="closed"):
        made.projects.add_key(made.project, Grant(("chat",)))
    for act in (made.states.resume, made.states.suspend):
        with pytest.raises(ProjectError, match="closing"):
            act(made.project)


def test_it_is_resumed_where_it_stopped(made: Deployment) -> None:
    # given a closure in which one erasure does not end
    made.store(ALICE, BOB)
    made.fails = {BOB}
    progress = made.close(3)
    assert (progress.done, progress.waiting, progress.closed) == (1, 1, False)
    # when it is run again
    made.fails = set()
    made.started.clear()
    progress = made.close()
    # then only what was left is done, by the same case
    assert (progress.done, progress.closed) == (1, True)
    assert len(set(made.started)) == 1


def test_closing_what_is_closed_changes_nothing(made: Deployment) -> None:
    made.store(ALICE)
    made.close()
    started, item = list(made.started), dict(made.item)
    assert made.close().closed
    assert (made.started, dict(made.item) | {"kv": 0}) == (started, item | {"kv": 0})


def test_a_legal_hold_is_respected_told_and_keeps_the_project_from_closing(
    made: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.privacy.world.PROJECT", made.project)
    made.store(ALICE, BOB)
    made.world.hold(ALICE)
    progress = made.close()
    assert (progress.held, progress.done, progress.closed) == (1, 1, False)
    assert shown(made.item)["state"] == "closing"
    assert [generation for _, generation in made.records(made.project)] == ["hold"]
    # run again, it says the same and touches nothing
    assert (made.close().held, len(set(made.started))) == (1, 2)


def test_a_chat_that_still_runs_keeps_it_open_and_what_it_writes_is_erased(made: Deployment) -> None:
    made.store(ALICE)
    made.item["inf"] = frozenset({new_slot(made.world.clock.now() + 60)})
    progress = made.close(3)
    assert (progress.chats, progress.closed) == (1, False)
    # when it ends, having stored something for somebody new
    made.store(BOB)
    del made.item["inf"]
    progress = made.close()
    assert (progress.done, progress.closed) == (1, True)
    assert list(made.records(made.project)) == []


def test_a_project_is_suspended_resumed_and_updated(made: Deployment) -> None:
    made.states.suspend(made.project)
    assert shown(made.item)["state"] == "suspended"
    made.states.resume(made.project)
    made.states.update(made.project, {"rpm": 7}, name="new", retention="history")
    assert (made.item["rpm"], made.item["tpm"], made.item["name"], made.item["ret"]) == (7, 100_000, "new", "history")
    with pytest.raises(ProjectError, match="lease"):
        made.states.update(made.project, {"lease": 4}, name=None, retention=None)
    with pytest.raises(ProjectError, match="no such project"):
        made.states.suspend("nobody12")
