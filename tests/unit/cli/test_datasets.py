"""Data sets: who does not allow it at that moment is left out, and the ledger says who entered (USE-3)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.datasets
from chatapi.catalogue import Catalogued
from chatapi.ledger import proof_holds
from chatapi.store.aliases import aliases
from chatapi.store.consents import Consents
from chatapi.store.datasets import AT_WORK_SECONDS, DataSetError, DataSets
from chatapi_cli.datasets import Builder
from tests.support.canary import Canary, as_bytes
from tests.unit.privacy.test_export import asked, lines, opened
from tests.unit.privacy.world import ALICE, BOB, PROJECT, World

CAROL = "sub_" + "c" * 32


class Sampled(World):
    """People with samples in a project that takes part."""

    def __init__(self) -> None:
        super().__init__()
        requests = Catalogued(self.requests, "requests")
        self.consents = Consents(requests)
        self.datasets = DataSets(requests, self.ledger)
        self.project: dict[str, Any] = {"st": "A", "imp": True}
        self.builder = Builder(
            self.vault,
            self.kept,
            self.consents,
            self.datasets,
            lambda project: self.project,
            lambda project, subject: aliases(self.records, project, subject),
            self.clock,
        )
        self.written = b""

    def person(self, subject: str, *texts: str, state: str | None = "granted") -> None:
        handle = self.kept.writer(PROJECT, subject)
        bodies = [(f"smp_{subject[4]}{number}", json.dumps({"t": text}).encode()) for number, text in enumerate(texts)]
        self.kept.put(handle, "sample", bodies)
        if state:
            self.choose(subject, state)

    def choose(self, subject: str, state: str) -> None:
        self.consents.choose(PROJECT, subject, "improvement", state, self.clock.now())

    def build(self, name: str = "first", *subjects: str) -> dict[str, Any]:
        self.written = b""

        def write(line: bytes) -> None:
            self.written += line

        of = [(PROJECT, subject, 1) for subject in subjects or (ALICE, BOB, CAROL)]
        return self.builder.build(name, of, write)


def test_who_withdrew_and_who_never_agreed_are_left_out_and_counted() -> None:
    # given three people with samples
    world = Sampled()
    world.person(ALICE, "one", "two")
    world.person(BOB, "three")
    world.choose(BOB, "withdrawn")
    world.person(CAROL, "four", state=None)
    # when a data set is built
    made = world.build()
    # then it has hers alone, and the ledger proves what it was
    assert [json.loads(line)["t"] for line in world.written.splitlines()] == ["one", "two"]
    assert (made["samples"], made["people"], made["left_out"]) == (2, 1, 2)
    assert made["sha256"] == hashlib.sha256(world.written).hexdigest()
    payload = {name: value for name, value in made.items() if name != "ledger"}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    assert proof_holds(made["ledger"], hashlib.sha256(text).digest())
    assert made["policy_version"] == "2025-08-04"
    assert world.entries() == 1
    # and once she withdraws the next one has nobody, and the first is known to be of somebody who does not allow it
    world.choose(ALICE, "withdrawn")
    assert [world.builder.allows(*person) for person in world.datasets.people("first")] == [False]
    with pytest.raises(DataSetError):
        world.build("second")
    assert [one["name"] for one in world.datasets.all()] == ["first"]


def test_an_objection_under_a_persons_other_name_counts() -> None:
    # given somebody who agreed under one name, and a request that carried another name of theirs beside it
    world = Sampled()
    world.person(ALICE, "one")
    world.person(CAROL, "two")
    world.days.alias(PROJECT, BOB, ALICE)
    assert world.builder.allows(PROJECT, ALICE)
    # when they object under the other one, then they are left out
    world.choose(BOB, "withdrawn")
    made = world.build("first", ALICE, CAROL)
    assert (made["people"], made["left_out"]) == (1, 1)
    assert b"one" not in world.written


def test_a_damaged_key_is_named_and_nothing_is_built() -> None:
    world = Sampled()
    world.person(ALICE, "one")
    world.wraps.items[PROJECT, ALICE] = replace(world.wraps.items[PROJECT, ALICE], wraps={1: b"damaged" * 10})
    with pytest.raises(DataSetError, match=ALICE):
        world.build("first", ALICE)
    assert world.datasets.all() == []


@pytest.mark.parametrize("item", [{"st": "A"}, {"st": "S", "imp": True}, {"st": "A", "imp": False}, None])
def test_a_project_that_takes_no_part_has_nobody_in_it(item: dict[str, Any] | None) -> None:
    world = Sampled()
    world.person(ALICE, "one")
    world.project = item  # type: ignore[assignment]
    with pytest.raises(DataSetError):
        world.build()
    assert world.written == b""


def test_the_erased_are_left_out() -> None:
    world = Sampled()
    world.person(ALICE, "one")
    world.person(BOB, "two")
    assert world.erase(world.case(BOB))[-1] == "Erased"
    assert not [row for row in world.records.rows.values() if row["kind"] == "sample" and BOB in row["pk"]]
    world.choose(BOB, "granted")  # a person who came back
    made = world.build("first", ALICE, BOB)
    assert (made["people"], made["left_out"]) == (1, 1)


def test_whose_processing_is_restricted_is_left_out() -> None:
    world = Sampled()
    world.person(ALICE, "one")
    world.person(BOB, "two")
    world.wraps.restrict(PROJECT, BOB, 1, "dsr_x")
    made = world.build("first", ALICE, BOB)
    assert (made["people"], made["left_out"]) == (1, 1)


def test_what_was_built_stays_what_it_was() -> None:
    world = Sampled()
    world.person(ALICE, "one")
    first = world.build()
    with pytest.raises(DataSetError):
        world.build()
    assert world.datasets.show("first") == first
    for name in ("", "A", "a/b", "x" * 65):
        with pytest.raises(DataSetError):
            world.datasets.free(name, world.clock.now())
    with pytest.raises(DataSetError):
        world.datasets.show("other")


def test_a_run_that_was_cut_off_before_its_entry_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Sampled()
    world.person(ALICE, "one")

    def cut_off(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.ledger, "append", cut_off)
    with pytest.raises(KeyboardInterrupt):
        world.build()
    assert world.datasets.show("first")["ledger"] is None
    # and keeps its name for as long as it might be at work, and no longer
    monkeypatch.undo()
    with pytest.raises(DataSetError):
        world.build()
    world.clock.advance(AT_WORK_SECONDS)
    world.person(BOB, "two")
    made = world.build("first", BOB)
    assert made["ledger"] is not None
    assert world.datasets.people("first") == [(PROJECT, BOB)]
    assert world.requests.get(f"y#{PROJECT}#{ALICE}", "first") is None
    # which is a data set now, and stays what it is
    world.clock.advance(AT_WORK_SECONDS)
    with pytest.raises(DataSetError):
        world.build()
    assert world.datasets.show("first") == made


def test_an_export_has_the_samples_and_the_data_sets_they_entered() -> None:
    world = Sampled()
    world.person(ALICE, "one")
    world.person(BOB, "two")
    world.build("first", ALICE)
    world.build("second", BOB)
    case = asked(world)
    assert world.export(case)[-1] == "Done"
    archive = opened(world, case)
    assert [one["data"] for one in lines(archive, "samples.jsonl")] == [{"t": "one"}]
    assert [(one["data_set"], one["samples"]) for one in lines(archive, "data-sets.jsonl")] == [("first", 1)]


def test_content_is_in_the_file_alone() -> None:
    world, canary = Sampled(), Canary("dataset")
    world.person(ALICE, canary.text)
    world.build()
    assert json.loads(world.written)["t"] == canary.text
    for table in (world.requests, world.chain, world.records):
        assert not canary.found_in(as_bytes(list(table.rows.values())))
    assert ALICE.encode() not in world.written


def run(world: Sampled, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    target = SimpleNamespace(client=lambda service: None, output=lambda name: name)
    monkeypatch.setattr(chatapi_cli.datasets, "find", lambda stack: target)
    monkeypatch.setattr(chatapi_cli.datasets, "_builder", lambda target: world.builder)
    monkeypatch.setattr(chatapi_cli.datasets, "people", lambda client, table: iter([(PROJECT, ALICE, 1)]))
    return CliRunner().invoke(chatapi_cli.datasets.datasets_app, ["build", *words])


def test_the_file_appears_whole_and_what_another_run_is_writing_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given another run that is writing the same file
    world = Sampled()
    world.person(ALICE, "one")
    file, part = tmp_path / "set.jsonl", tmp_path / "set.jsonl.part"
    part.write_bytes(b"of the other run")
    # when this one is asked for, then it is refused and nothing of the other is gone, nor was anything built
    refused = run(world, monkeypatch, "first", "--out", str(file))
    assert (refused.exit_code, part.read_bytes()) == (1, b"of the other run")
    assert "another run" in refused.output
    assert world.datasets.all() == []
    # and neither is a directory that is not there a traceback
    nowhere = run(world, monkeypatch, "first", "--out", str(tmp_path / "none" / "set.jsonl"))
    assert (nowhere.exit_code, nowhere.output.strip()) == (1, "the file cannot be written there")
    # and when the other one is gone
    part.unlink()
    assert run(world, monkeypatch, "first", "--out", str(file)).exit_code == 0
    assert [json.loads(line)["t"] for line in file.read_text().splitlines()] == ["one"]
    assert not part.exists()


def test_what_a_hold_kept_through_a_withdrawal_enters_no_data_set_of_a_later_consent() -> None:
    # given a sample that a legal hold kept when its person withdrew
    world = Sampled()
    world.person(ALICE, "before")
    world.clock.advance(60)
    world.choose(ALICE, "withdrawn")
    # when the person consents anew, and a further sample is kept
    world.clock.advance(60)
    world.choose(ALICE, "granted")
    handle = world.kept.writer(PROJECT, ALICE)
    world.kept.put(handle, "sample", [("smp_later", b'{"t":"after"}')])
    # then that one alone enters
    assert world.build()["samples"] == 1
    assert world.written == b'{"t":"after"}\n'
