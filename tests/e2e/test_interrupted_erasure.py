"""An erasure is stopped at every boundary between two states, and its function dies inside tasks: it ends as ever.

RGT-5.

The states are read from the shipped state machine, and the calls inside a task from erasures that nobody disturbs
(tests/e2e/deaths.py). CI has every boundary, and a death in every task; `make prove` has a case of its own for every
call of every task, before and after the call took effect, with the workflow dying along and with its trying the task
again. It prints each point with its number and its name: CHATAPI_POINTS="0-71" tries a part of them, and
CHATAPI_POINTS=NAME one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatapi.ids import random62
from tests.e2e.deaths import Death, Deaths
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import ENDED
from tests.e2e.subject import Subject
from tests.support.campaign import SCALE, part_of
from tests.support.likeness import likeness
from tests.support.listened_line import Call, ListenedLine
from tests.unit.privacy.machine import ASL

SOME = [
    Death("whole", "1/Destroy/PutItem(vault)/1", "after", "with"),
    Death("whole", "1/Certify/Sign()/1", "before", "with"),
]


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
    for one in made:
        one.http.close()


def test_every_boundary_of_the_workflow_may_be_the_last(line: ListenedLine, subject: Callable[[str], Subject]) -> None:
    # given the erasure of someone of whom holds keep a part, and one like it that nobody disturbs
    other, who = subject("boundaries-other"), subject("boundaries")
    for one in (other, who):
        one.chats("hello", tokens=1)
        hold = one.hold("day", "completion")["hold"]
    undisturbed = other.begins()
    line.case(undisturbed).idle()
    left = list(ERASING)

    def stops(call: Call) -> None:
        """The task that is under way ends, and the next one never begins."""
        if left and (call.state, call.number) == (left[0], 1):
            left.pop(0)
            case.stop()

    # when each of its executions is stopped one boundary further on
    request, seen = who.begins(), b""
    case = line.case(request, stops)
    for _ in ERASING:
        case.idle()
        before, seen = seen, who.certificate(request)
        assert before in (b"", seen)
        case.once_more()
    # then it ends like the other, and no further execution changes a byte of the certificate
    assert left == []
    assert who.request(request)["status"] == "on_hold"
    certificate = who.certificate(request)
    assert seen == certificate
    assert likeness(certificate) == likeness(other.certificate(undisturbed))
    case.once_more()
    assert who.certificate(request) == certificate
    # and when the hold ends, so does what it kept, however often the workflow is stopped on the way
    left = list(RELEASING)
    who.releases(hold)
    for _ in RELEASING:
        case.idle()
        case.once_more()
    assert left == []
    assert who.request(request)["status"] == "completed"
    released = who.certificate(request, "release")
    case.once_more()
    assert released
    assert (who.certificate(request), who.certificate(request, "release")) == (certificate, released)


def test_a_hold_that_comes_in_between_is_honoured_and_one_that_comes_too_late_is_told_so(
    line: ListenedLine, subject: Callable[[str], Subject]
) -> None:
    # given an erasure that has read the holds, and one that has passed the point of no return
    for state, late in (("Inventory", False), ("Destroy", True)):
        who, holds = subject("hold-in-between"), list[dict[str, Any]]()

        def adds(call: Call, at: str = state, who: Subject = who, holds: list[dict[str, Any]] = holds) -> None:
            if not holds and call.state == at:
                holds.append(who.hold("conversation"))

        # when a hold is added
        request = who.begins()
        line.case(request, adds).idle()
        done = who.request(request)
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
            if left.pop(0) == "Inventory":
                cancelled.append(who.cancels(request))
            else:
                case.stop()

    request = who.begins()
    case = line.case(request, cancels)
    for _ in range(2):
        case.idle()
        who.resumes(request)
    case.idle()
    # then nothing was destroyed, and the person's data is read and written as before
    assert (cancelled, left, who.certificate(request)) == ([200], [], b"")
    assert who.request(request)["status"] == "cancelled"
    who.stores()
    # and one that is stopped while it waits for late writers has its certificate, and looks for them when it goes on
    line.stack.waits(20)
    request = who.begins()
    case = line.case(request)
    assert who.until(request, *ENDED)["status"] == "completed"
    certificate = who.certificate(request)
    case.enters("LateWriters")
    case.stop()
    line.stack.waits(0)
    assert "LateResidueScan" not in {call.state for call in case.calls}
    case.once_more()
    assert certificate
    assert who.certificate(request) == certificate
    assert "LateResidueScan" in {call.state for call in case.calls}


def test_the_function_may_die_in_every_task_of_one_erasure(
    line: ListenedLine, subject: Callable[[str], Subject]
) -> None:
    # given somebody's erasure, and one like it that nobody disturbs
    other, who = subject("deaths-other"), subject("deaths")
    undisturbed = other.begins()
    case = line.case(undisturbed)
    case.idle()
    last = {call.state: call.name for call in case.calls}
    assert list(last) == ERASING

    # when its function dies at the last call of every task, before it and after it by turns
    def dies(call: Call) -> str | None:
        if call.name != last.get(call.state):
            return None
        del last[call.state]
        return "after" if len(last) % 2 else "before"

    request = who.begins()
    case = line.case(request, dies)
    case.idle()
    # then it ends like the other, in one execution
    assert last == {}
    assert case.failed_attempts() == len(ERASING)
    assert who.request(request)["status"] == "completed"
    assert likeness(who.certificate(request)) == likeness(other.certificate(undisturbed))


def test_the_function_may_die_at_any_call_of_any_task(
    line: ListenedLine, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    # given every call at which it can die
    deaths = Deaths(line)
    points = deaths.all() if SCALE > 1 else SOME
    # when it dies there
    part, failed, begun = part_of([death.name for death in points]), list[str](), time.monotonic()
    for number in part:
        name, said = points[number].name, "ended the same"
        try:
            deaths.try_(points[number])
        except Exception as problem:  # the other points are tried even so
            failed.append(name)
            said = f"FAILED {problem!r}"
        with capsys.disabled():
            print(f"{number:4} {time.monotonic() - begun:6.0f} s {name}: {said}", flush=True)
    record_property("cases", f"{len(part)} of {len(points)} deaths")
    # then the erasure ends the same
    assert failed == [], f"CHATAPI_POINTS='{' '.join(failed)}' tries these alone"
