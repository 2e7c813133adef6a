"""An erasure is stopped at every boundary between two states, and its function dies inside tasks: it ends the same.

The states are read from the shipped state machine, and the calls inside a task from a run that nobody disturbs. CI has
every boundary and a few deaths; `make prove` has a case of its own for every call of every task, before and after
the call took effect, with the workflow dying along and with its trying the task again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from chatapi.ids import random62
from chatapi_cli.main import app
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import ENDED, Person
from tests.support.campaign import SCALE
from tests.support.likeness import likeness
from tests.support.listened_line import Call, ListenedLine
from tests.unit.privacy.machine import ASL

FOR_EVER = 10**6
"""MiniStack tries a task again even where the execution was stopped meanwhile; it pauses first, so it is a long one."""


def tasks(begin: str, choices: dict[str, str] | None = None) -> list[str]:
    """The task states from `begin` to the end, by the defaults or where `choices` says something else."""
    found, name, states = [], begin, ASL["States"]
    while states[name]["Type"] != "Succeed":
        if states[name]["Type"] == "Task":
            found.append(name)
        name = (choices or {}).get(name) or states[name].get("Default") or states[name]["Next"]
    return found


ERASING = tasks(ASL["StartAt"])
RELEASING = tasks(ASL["StartAt"], {"Held?": "Release"})


class Death(NamedTuple):
    """Where the function dies: at a call of a state, `before` it or `after`; `alone`: the workflow lives on."""

    state: str
    number: int
    moment: str
    alone: bool


class Subject(Person):
    """A person of whom two conversations are stored."""

    def command_says(self, *words: str) -> Any:
        """What `chatapi` prints, run in this process: it is run often."""
        with patch.dict(os.environ, self.stack.cli_environment()):
            done = CliRunner().invoke(app, list(words), input=self.name + "\n")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    def stores(self) -> None:
        items = [{"type": "message", "role": "user", "content": "hello"}]
        for _ in range(2):
            self.http.post("/conversations", json={"items": items, "user": self.name}).raise_for_status()

    def hold(self, *kinds: str) -> dict[str, Any]:
        named = [word for kind in kinds for word in ("--kind", kind)]
        add = ("holds", "add", self.stack.info.project_id, "--user", "-", *named)
        made: dict[str, Any] = self.command_says(*add, "--basis", "tax law", "--by", "dpo", "--days", "9")
        return made

    def begins(self) -> str:
        asked = self.http.post("/privacy/requests", json={"type": "erasure", "subject": {"user": self.name}})
        assert asked.status_code == 202, asked.text
        return str(asked.json()["id"])

    def resumes(self, request: str) -> None:
        self.command_says("requests", "resume", self.stack.info.project_id, request, "--json")

    def certificate(self, request: str, part: str = "") -> bytes:
        """Its bytes; none while there is none."""
        path = f"/privacy/requests/{request}/certificate" + (f"?part={part}" if part else "")
        answer = self.get(path)
        assert answer.status_code in (200, 404), answer.text
        return answer.content if answer.status_code == 200 else b""


@pytest.fixture(scope="module")
def line(stack: RunningStack) -> Iterator[ListenedLine]:
    with ListenedLine(stack) as made:
        yield made


@pytest.fixture
def subject(line: ListenedLine) -> Iterator[Callable[[str], Subject]]:
    made: list[Subject] = []

    def make(name: str) -> Subject:
        made.append(Subject(line.stack, f"{name}-{random62(6)}"))
        made[-1].stores()
        return made[-1]

    yield make
    line.listen("")
    for one in made:
        one.http.close()


def undisturbed(line: ListenedLine, who: Subject) -> tuple[list[Call], bytes]:
    """The calls of an erasure that nobody disturbs, and its certificate."""
    line.listen("dsr_")
    request = who.begins()
    who.until(request, *ENDED)
    line.idle()
    return [call for call in line.calls if call.state], who.certificate(request)


def once_more(line: ListenedLine, who: Subject, request: str, part: str = "") -> bytes:
    """The certificate, the same after one more execution of the case."""
    first = who.certificate(request, part)
    who.resumes(request)
    line.idle()
    assert first
    assert who.certificate(request, part) == first
    return first


def test_every_boundary_of_the_workflow_may_be_the_last(line: ListenedLine, subject: Callable[[str], Subject]) -> None:
    # given the erasure of someone of whom holds keep a part, and one like it that nobody disturbs
    other, who = subject("boundaries-other"), subject("boundaries")
    for one in (other, who):
        one.chats("hello")
        hold = one.hold("day", "completion")["hold"]
    _, plain = undisturbed(line, other)
    left = list(ERASING)

    def stops(call: Call) -> None:
        """The task that is under way ends, and the next one never begins."""
        if left and (call.state, call.number) == (left[0], 1):
            left.pop(0)
            line.stop()

    # when each of its executions is stopped one boundary further on
    line.listen("dsr_", stops)
    request, seen = who.begins(), b""
    for _ in ERASING:
        line.idle()
        before, seen = seen, who.certificate(request)
        assert before in (b"", seen)
        who.resumes(request)
    line.idle()
    # then it ends like the other, and no further execution changes a byte of the certificate
    assert left == []
    assert who.until(request, *ENDED)["status"] == "on_hold"
    certificate = once_more(line, who, request)
    assert seen == certificate
    assert likeness(certificate) == likeness(plain)
    # and when the hold ends, so does what it kept, however often the workflow is stopped on the way
    left = list(RELEASING)
    who.command_says("holds", "release", who.stack.info.project_id, hold, "--user", "-")
    for _ in RELEASING:
        line.idle()
        who.resumes(request)
    line.idle()
    assert left == []
    assert who.until(request, *ENDED)["status"] == "completed"
    assert once_more(line, who, request) == certificate
    assert once_more(line, who, request, "release")


def test_a_hold_that_comes_in_between_is_honoured_and_one_that_comes_too_late_is_told_so(
    line: ListenedLine, subject: Callable[[str], Subject]
) -> None:
    # given an erasure that has read the holds, and one that has passed the point of no return
    for state, late in (("Inventory", False), ("Destroy", True)):
        who, holds = subject("hold-in-between"), list[dict[str, Any]]()

        def adds(call: Call, at: str = state, who: Subject = who, holds: list[dict[str, Any]] = holds) -> None:
            if not holds and (call.state, call.number) == (at, 1):
                holds.append(who.hold("conversation"))

        # when a hold is added
        line.listen("dsr_", adds)
        request = who.begins()
        done = who.until(request, *ENDED)
        line.idle()
        # then what it names is kept where it came in time, and its officer knows where it did not
        (hold,) = holds
        assert hold["too_late_for"] == ([request] if late else [])
        assert done["status"] == ("completed" if late else "on_hold")
        kept = [one["count"] for one in done["stores"] if (one["store"], one["outcome"]) == ("records", "held")]
        assert kept == ([] if late else [2])
        named = [entry["hold"] for entry in json.loads(who.certificate(request))["payload"]["holds"]]
        assert named == ([] if late else [hold["hold"]])


def test_one_that_is_taken_back_lets_go_and_one_that_waits_goes_on(
    line: ListenedLine, subject: Callable[[str], Subject]
) -> None:
    # given an erasure that is cancelled before the commit, and stopped there and once more
    who, left, cancelled = subject("taken-back"), ["Inventory", "Commit", "Unfreeze"], list[int]()

    def cancels(call: Call) -> None:
        if left and (call.state, call.number) == (left[0], 1):
            request = (line.running() or "").rpartition(":")[2][:28]
            if left.pop(0) == "Inventory":
                cancelled.append(who.http.post(f"/privacy/requests/{request}/cancel").status_code)
            else:
                line.stop()

    line.listen("dsr_", cancels)
    request = who.begins()
    for _ in range(2):
        line.idle()
        who.resumes(request)
    line.idle()
    # then nothing was destroyed, and the person's data is read and written as before
    assert (cancelled, left, who.certificate(request)) == ([200], [], b"")
    assert who.until(request, *ENDED)["status"] == "cancelled"
    who.stores()
    # and one that is stopped while it waits for late writers has its certificate, and looks for them when it goes on
    line.listen("dsr_")
    line.waits(20)
    request = who.begins()
    assert who.until(request, *ENDED)["status"] == "completed"
    certificate = who.certificate(request)
    line.enters("LateWriters")
    line.stop()
    line.waits(0)
    line.listen("dsr_")
    assert once_more(line, who, request) == certificate
    assert "LateResidueScan" in {call.state for call in line.calls}


def dies(line: ListenedLine, who: Subject, death: Death) -> bytes:
    """Erase someone, with one death on the way; the certificate."""
    left = [death]

    def heard(call: Call) -> str | None:
        if not left or (call.state, call.number) != death[:2]:
            return None
        left.clear()
        if not death.alone:
            line.waits(FOR_EVER)
            line.stop()
        return death.moment

    line.listen("dsr_", heard)
    request, issued = who.begins(), b""
    if not death.alone:
        line.idle()
        line.failed(request)
        line.waits(0)
        issued = who.certificate(request)
        who.resumes(request)
    line.idle()
    assert left == [], death
    assert line.failed_attempts(request) == 1
    certificate = once_more(line, who, request)
    assert issued in (b"", certificate)
    return certificate


def test_the_function_may_die_inside_any_task(line: ListenedLine, subject: Callable[[str], Subject]) -> None:
    for _ in range(2):  # the second is that of a warm function, which makes no call that a fresh one does not make too
        plain_one = subject("deaths-plain")
        if SCALE > 1:
            plain_one.chats("hello")
        calls, plain = undisturbed(line, plain_one)
    assert {call.state for call in calls} == set(ERASING)
    deaths = [
        Death(call.state, call.number, moment, alone)
        for call in calls
        for moment in ("before", "after")
        for alone in (False, True)
    ]
    if SCALE == 1:
        places = {(call.state, call.operation): call.number for call in calls}
        destroyed, signed = places["Destroy", "PutItem"], places["Certify", "Sign"]
        deaths = [Death("Destroy", destroyed, "after", alone=False), Death("Certify", signed, "after", alone=True)]
    for death in deaths:
        who = subject("deaths")
        if SCALE > 1:
            who.chats("hello")
        assert likeness(dies(line, who, death)) == likeness(plain), death
    print(len(deaths), "deaths at", len(calls), "calls of", len(ERASING), "tasks")
