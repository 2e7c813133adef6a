"""A line between the erasure's function and its AWS, on which a test listens. The product has no hook for this: for the
time of the test the shipped state machine invokes a function of the test's, which runs the shipped code as it was built
(tests/support/listened_function.py). Each of its processes has a port of its own here, and every call is handed on to
MiniStack and every answer back.

So a test knows which task of which case makes which call, may do something in that moment, and may let just that
process die before the call has left or after it has had its effect. A call is named by what it is, not by where it
comes in a count: the state, the operation, what it is about, and the how many-th of these it is since the task began.
Several cases may be under way at once, each listened to by itself.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import NamedTuple, Self

from tests.e2e.local_stack import RunningStack
from tests.support.handing_on import Answer, Asked, end, serve
from tests.support.listened_place import in_place_of
from tests.unit.privacy.machine import ASL

SECONDS = 60
STATES = {
    state["Parameters"]["Payload"]["task"]: name for name, state in ASL["States"].items() if "Parameters" in state
}
"""The state of each task."""


class Call(NamedTuple):
    """A call of a task: the state, what is called, the how many-th of its like since the task began, and the how
    many-th of all."""

    state: str
    what: str
    nth: int
    number: int

    @property
    def name(self) -> str:
        """What it is, whatever was called before it: Destroy/PutItem(vault)/1."""
        return f"{self.state}/{self.what}/{self.nth}"


Heard = Callable[[Call], str | None]
"""What a test does when it hears a call. It may answer `before` or `after`: then the function dies."""


def _pass(_call: Call) -> None:
    return None


class ListenedCase:
    """A case that is listened to: the calls of its tasks so far, and its executions."""

    def __init__(self, line: ListenedLine, request: str, heard: Heard) -> None:
        self.request, self.heard = request, heard
        self.calls: list[Call] = []
        self.under_way = 0
        self.stopped = False
        """Whether its execution was stopped with the function: MiniStack tries the task again even so, and what it
        tries then must have no effect."""
        self.passed_by = threading.Event()
        self._line = line

    def running(self) -> str | None:
        """Its execution that runs, if one does."""
        states, machine = self._line.states, self._line.machine
        found = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        return next((one["executionArn"] for one in found if one["name"].startswith(self.request)), None)

    def stop(self) -> None:
        """Stop its execution: the task that runs may end, no other begins."""
        if arn := self.running():
            self._line.states.stop_execution(executionArn=arn)

    def dies_with_its_workflow(self) -> None:
        """Stop its execution, of which the function is about to die, and pass by what MiniStack tries of it still."""
        self.stopped = True
        self.stop()

    def once_more(self) -> None:
        """One more execution of it, to its end."""
        given = {"project": self._line.stack.info.project_id, "request": self.request}
        name, machine = f"{self.request}-{time.time_ns()}", self._line.machine
        self._line.states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))
        self.idle()

    def is_dead(self) -> None:
        """Until nothing is tried any more of the execution that was stopped with the function."""
        assert self.passed_by.wait(SECONDS), self.calls
        self.stopped = False

    def idle(self) -> None:
        """Until no execution runs and no task is under way."""
        self._until(lambda: not self.running() and not self.under_way)

    def enters(self, state: str) -> None:
        """Until the running execution is in a state."""
        self._until(lambda: self._entered() == state)

    def failed_attempts(self) -> int:
        """How many tasks of its executions have failed."""
        states, found = self._line.states, 0
        listed = states.list_executions(stateMachineArn=self._line.machine)["executions"]  # the newest thousand
        for arn in (one["executionArn"] for one in listed if one["name"].startswith(self.request)):
            events = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
            found += sum(event["type"] == "TaskFailed" for event in events)
        return found

    def _entered(self) -> str:
        if (arn := self.running()) is None:
            return ""
        events = self._line.states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
        found = [event for event in events if event["type"].endswith("StateEntered")]
        return str(found[0]["stateEnteredEventDetails"]["name"]) if found else ""

    def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < deadline, self.calls
            time.sleep(0.03)


class _Process:
    """A process of the function, and the task that it is at."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.case: ListenedCase | None = None
        self.state = ""
        self.made: Counter[str] = Counter()
        self.server: ThreadingHTTPServer

    def begins(self, case: ListenedCase, task: str) -> None:
        self.case, self.state, self.made = case, STATES[task], Counter()
        case.under_way += 1

    def ends(self) -> None:
        if self.case:
            self.case.under_way -= 1
        self.case = None

    def call(self, what: str) -> Call:
        self.made[what] += 1
        return Call(self.state, what, self.made[what], self.made.total())


class ListenedLine:
    """The line of the erasure's function. A task of a case waits until somebody listens to the case."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack, self.states = stack, stack.aws("stepfunctions")
        self.machine = stack.info.outputs["ErasureMachine"]
        outputs = stack.info.outputs.items()
        self._tables = {value: name[:-5].lower() for name, value in outputs if name.endswith("Table")}
        self._cases: dict[str, ListenedCase] = {}
        self._processes: dict[int, _Process] = {}
        self._changed = threading.Condition()
        self.problems: list[BaseException] = []
        self._told = serve(self._hears_word, self.problems)

    def __enter__(self) -> Self:
        self._place = in_place_of(self.stack, self.machine, "erasure", f"127.0.0.1:{self._told.server_port}")
        self._place.__enter__()
        self.stack.waits(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.waits(1)
        self._place.__exit__(None, None, None)
        for server in (self._told, *(process.server for process in self._processes.values())):
            end(server)
        assert self.problems == []

    def case(self, request: str, heard: Heard = _pass) -> ListenedCase:
        """From now on `heard` is called with every call of the tasks of a case."""
        with self._changed:
            self._cases[request] = made = ListenedCase(self, request, heard)
            self._changed.notify_all()
        return made

    def afresh(self) -> None:
        """Every task that begins from now on does so in a new process. No task may be under way."""
        for process in list(self._processes.values()):
            self._end(process)

    def _end(self, process: _Process) -> None:
        """End a process at once, as the machine below it would."""
        os.kill(process.pid, signal.SIGKILL)
        self._forget(process)

    def _forget(self, process: _Process) -> None:
        del self._processes[process.pid]
        process.ends()
        end(process.server)

    def _hears_word(self, asked: Asked) -> Answer:
        """What a process is told that says what it does."""
        said = json.loads(asked.body)
        if asked.path == "/born":
            process = _Process(said["pid"])
            process.server = serve(lambda call: self._hands_on(process, call), self.problems)
            self._processes[process.pid] = process
            return Answer.of(f"http://127.0.0.1:{process.server.server_port}")
        process = self._processes[said["pid"]]
        if asked.path == "/ends":
            process.ends()
            return Answer.of(None)
        if asked.path == "/fails":
            self._forget(process)
            return Answer.of(None)
        with self._changed:
            request, task = said["event"]["request"], said["event"]["task"]
            assert self._changed.wait_for(lambda: request in self._cases, SECONDS), "nobody listens to a case"
            case = self._cases[request]
            if not case.stopped:
                process.begins(case, task)
                return Answer.of(None)
            case.passed_by.set()
            selected = ASL["States"][STATES[task]].get("ResultSelector", {}).values()
            return Answer.of({path.rpartition(".")[2]: False for path in selected})

    def _hands_on(self, process: _Process, asked: Asked) -> Answer | None:
        """One call: its answer, or None where the function died of it."""
        case = process.case
        assert case, "a call outside of any task"
        case.calls.append(call := process.call(self._what(asked)))
        moment = case.heard(call)
        answer = None if moment == "before" else asked.hand_on(self.stack.info.aws_endpoint_url)
        if moment:
            self._end(process)
            return None
        return answer

    def _what(self, asked: Asked) -> str:
        """The operation of a call, and what it is about."""
        if not (target := asked.headers.get("x-amz-target")):
            _, _, query = asked.path.partition("?")
            return f"{asked.method}({'&'.join(sorted(part.partition('=')[0] for part in query.split('&')))})"
        said = json.loads(asked.body)
        named = [said.get("TableName"), *said.get("RequestItems", ())]
        for step in said.get("TransactItems", ()):
            named += [part["TableName"] for part in step.values()]
        tables = sorted({self._tables[name] for name in named if name})
        return f"{target.rpartition('.')[2]}({','.join(tables)})"
