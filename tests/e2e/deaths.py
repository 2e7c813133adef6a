"""Erasures of which the function dies at one call, and what becomes of them.

An erasure takes one of three courses: all is erased; a hold keeps a part, which is erased when the hold ends; it is
taken back before the commit. Between them they run every task but the one that marks a case as failed. What becomes of
an erasure with a death on its way is compared with what becomes of one like it that nobody disturbs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from chatapi.ids import random62
from tests.e2e.subject import Subject
from tests.support.likeness import likeness
from tests.support.listened_line import Call, ListenedCase, ListenedLine


class Death(NamedTuple):
    """Where the function dies: at a call of a course, `before` it or `after` it took effect. It dies `alone`, and the
    workflow tries the task again, or `with` the workflow."""

    course: str
    call: str
    moment: str
    company: str

    @property
    def name(self) -> str:
        """What CHATAPI_POINTS understands."""
        return ":".join(self)


class NotReached(AssertionError):
    """The erasure came to its end without the call at which the function was to die."""


class Ending(NamedTuple):
    """What has become of an erasure: its status, and the bytes of its certificates."""

    status: str
    certificate: bytes
    release: bytes

    def like(self) -> Any:
        """What it has in common with others of the same course."""
        return self.status, [likeness(part) if part else None for part in self[1:]]


class Run:
    """One erasure of somebody, with a death on its way or with none."""

    def __init__(self, line: ListenedLine, death: Death | None = None) -> None:
        self.line, self.death = line, death
        self.who = Subject(line.stack, "deaths-" + random62(6))
        self.request, self.case, self.turn = "", ListenedCase(line, "", self._hears), 0
        self.made: list[str] = []
        """The names of its calls, each behind the number of its turn."""
        self.does: Callable[[Call], None] = lambda call: None
        self._issued = b""

    def takes(self, course: Callable[[Run], Ending]) -> Ending:
        """What has become of it at the end of a course."""
        with self.who.http:
            return course(self)

    def begins(self) -> None:
        """Ask for the erasure, and see it to where it ends or waits for its hold."""
        self.turn = 1
        self.request = self.who.begins()
        self.case = self.line.case(self.request, self._hears)
        self.goes_on()

    def releases(self, hold: str) -> None:
        """End its hold, and see it to its end."""
        self.turn = 2
        self.who.releases(hold)
        self.goes_on()

    def goes_on(self) -> None:
        """Until nothing of it runs. Where the workflow died with the function, an operator resumes it."""
        self.case.idle()
        if self.case.stopped:
            self.case.is_dead()
            self._issued = self.who.certificate(self.request)
            self.who.resumes(self.request)
            self.case.idle()

    def ending(self) -> Ending:
        """What has become of it; one more execution of the case changes no byte."""
        self.turn = 0  # whose calls are not tried: a task that has nothing left to do
        if self.death:
            raise NotReached("the function was to die at a call that was not made: " + self.death.name)
        found = self._look()
        self.case.once_more()
        assert self._look() == found, "one more execution changed what it came to"
        assert self._issued in (b"", found.certificate), "the certificate was issued anew"
        return found

    def _look(self) -> Ending:
        status, request = self.who.request(self.request)["status"], self.request
        released = self.who.certificate(request, "release") if status == "completed" else b""
        return Ending(status, self.who.certificate(request), released)

    def _hears(self, call: Call) -> str | None:
        self.does(call)
        name = f"{self.turn}/{call.name}"
        if self.turn:
            self.made.append(name)
        if not self.death or name != self.death.call:
            return None
        death, self.death = self.death, None
        if death.company == "with":
            self.case.dies_with_its_workflow()
        return death.moment


def whole(run: Run) -> Ending:
    """All is erased."""
    run.who.stores()
    run.who.chats("hello", tokens=1)
    run.begins()
    return run.ending()


def held(run: Run) -> Ending:
    """A part is held, and erased when the hold has ended."""
    run.who.stores()
    run.who.chats("hello", tokens=1)
    hold = run.who.hold("day", "completion", "conversation")["hold"]
    run.begins()
    before = run.who.certificate(run.request)
    run.releases(hold)
    ending = run.ending()
    assert ending.certificate == before
    assert ending.release
    return ending


def taken_back(run: Run) -> Ending:
    """It is cancelled before the commit, and what the person has is written as before."""
    cancelled = list[int]()

    def cancels(call: Call) -> None:
        if call.state == "Inventory" and not cancelled:
            cancelled.append(run.who.cancels(run.request))

    run.does = cancels
    run.who.stores()
    run.begins()
    assert cancelled == [200]
    ending = run.ending()
    run.who.stores()
    return ending


COURSES: dict[str, Callable[[Run], Ending]] = {"whole": whole, "held": held, "taken_back": taken_back}


class Deaths:
    """Every death that can come in the way of an erasure, and what becomes of it."""

    def __init__(self, line: ListenedLine) -> None:
        self._line = line
        self._plain: dict[str, Ending] = {}
        self._fresh = set[str]()

    def all(self) -> list[Death]:
        """Every death there is, from two erasures of each course that nobody disturbs: one by a new process, which
        makes calls that a warm one does not make. What two courses have in common is tried in the first of them."""
        calls: dict[str, str] = {}
        for course in COURSES:
            self._line.afresh()
            first, second = self._undisturbed(course), self._undisturbed(course)
            self._fresh |= {call for call in first if call not in second}
            calls = {**dict.fromkeys([*first, *second], course), **calls}
        found = product(calls.items(), ("before", "after"), ("alone", "with"))
        return [Death(course, call, moment, company) for (call, course), moment, company in found]

    def try_(self, death: Death) -> None:
        """It ends like the one that nobody disturbed, its certificate is issued once, and the function died once."""
        if death.course not in self._plain:
            self._undisturbed(death.course)
        if death.call in self._fresh:
            self._line.afresh()
        run = Run(self._line, death)
        ending = run.takes(COURSES[death.course])
        assert (times := run.case.failed_attempts()) == 1, f"the function died {times} times"
        assert ending.like() == self._plain[death.course].like(), f"it ended otherwise: {ending.like()}"

    def _undisturbed(self, course: str) -> list[str]:
        """The calls of an erasure."""
        run = Run(self._line)
        ending = run.takes(COURSES[course])
        assert ending.like() == self._plain.setdefault(course, ending).like()
        return run.made
