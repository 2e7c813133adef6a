"""A line between a deployed function and its AWS, on which a test listens. The product has no hook for this: the
function's endpoint is set to a port of the test, which hands every call on to MiniStack and every answer back.

So a test knows when a task makes which call, may do something in that moment, and may let the function's process die
before the call has left or after it has had its effect.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import httpx

from tests.e2e.local_stack import RunningStack

SECONDS = 60
_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Call(NamedTuple):
    """A call of a task: the state that the execution is in, the number of the call since it was entered, from 1."""

    state: str
    number: int
    operation: str


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Heard = Callable[[Call], str | None]
"""What a test does when it hears a call. It may answer `before` or `after`: then the function dies."""


def _pass(_call: Call) -> None:
    return None


class ListenedLine:
    """The line of the erasure's function. Listens to one case at a time: no other may be under way meanwhile."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack, self.states = stack, stack.aws("stepfunctions")
        self.machine = stack.info.outputs["ErasureMachine"]
        self._lambda, self._function = stack.aws("lambda"), stack.info.stack_name + "-erasure"
        self._upstream = urlsplit(stack.info.aws_endpoint_url).netloc
        self._heard: Heard = _pass
        self._case, self._entry, self._number, self._dying = "", ("", 0), 0, False
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self.problems: list[BaseException] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        configured = self._lambda.get_function_configuration(FunctionName=self._function)["Environment"]["Variables"]
        self._before = configured
        url = f"http://127.0.0.1:{self._server.server_port}"
        self._configure({**configured, "AWS_ENDPOINT_URL": url})
        self.waits(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.waits(1)
        self._configure(self._before)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.problems == []

    def _configure(self, variables: dict[str, str]) -> None:
        self._lambda.update_function_configuration(FunctionName=self._function, Environment={"Variables": variables})

    def waits(self, scale: float) -> None:
        """How long the machine's waits and pauses take, as a multiple: 0 skips them."""
        url = self.stack.info.aws_endpoint_url + "/_ministack/config"
        httpx.post(url, json={"stepfunctions._SFN_WAIT_SCALE": str(scale)}, trust_env=False).raise_for_status()

    def listen(self, case: str, heard: Heard = _pass) -> None:
        """From now on `heard` is called with every call of the tasks of `case`."""
        self._case, self._heard, self._entry, self._number, self.calls = case, heard, ("", 0), 0, []

    def running(self) -> str | None:
        """The case's execution that runs, if one does."""
        found = self.states.list_executions(stateMachineArn=self.machine, statusFilter="RUNNING")["executions"]
        return next((one["executionArn"] for one in found if one["name"].startswith(self._case)), None)

    def stop(self) -> None:
        """Stop the case's execution: the task that runs may end, no other begins."""
        if arn := self.running():
            self.states.stop_execution(executionArn=arn)

    def idle(self) -> None:
        """Until no execution of the case runs."""
        deadline = time.monotonic() + SECONDS
        while self.running():
            assert time.monotonic() < deadline, self.entered()
            time.sleep(0.05)

    def entered(self) -> tuple[str, int]:
        """The state that the running execution is in, and the number of the event that says so."""
        if (arn := self.running()) is None:
            return ("", 0)
        events = self.states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
        found = [event for event in events if event["type"].endswith("StateEntered")]
        return (found[0]["stateEnteredEventDetails"]["name"], found[0]["id"]) if found else ("", 0)

    def enters(self, state: str) -> None:
        """Until the running execution is in a state."""
        deadline = time.monotonic() + SECONDS
        while self.entered()[0] != state:
            assert time.monotonic() < deadline, self.entered()
            time.sleep(0.05)

    def failed(self, case: str) -> None:
        """Until a task of the case has failed."""
        deadline = time.monotonic() + SECONDS
        while not self.failed_attempts(case):
            assert time.monotonic() < deadline, self.calls
            time.sleep(0.05)

    def failed_attempts(self, case: str) -> int:
        """How many tasks of a case's executions have failed."""
        pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.machine)
        arns = [one["executionArn"] for page in pages for one in page["executions"] if case in one["name"]]
        histories = [self.states.get_execution_history(executionArn=arn, maxResults=1000)["events"] for arn in arns]
        return sum(event["type"] == "TaskFailed" for events in histories for event in events)

    def _kill(self) -> None:
        """End every process of the function at once, as the machine below it would."""
        mark = f"{self.stack.place.home}/run/ministack/tmp/ministack-lambda-{self._function}-"
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout
        for line in listed.splitlines():
            if mark in line:
                os.kill(int(line.split()[0]), signal.SIGKILL)

    def _hears(self, operation: str) -> str | None:
        if self._dying or not self._case:
            return "before" if self._dying else None  # a call that was sent anew meanwhile
        entry = self.entered()
        if entry != self._entry:
            self._entry, self._number = entry, 0
        self._number += 1
        call = Call(entry[0], self._number, operation)
        self.calls.append(call)
        moment = self._heard(call)
        self._dying = moment is not None
        return moment

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What MiniStack answers."""
        upstream = http.client.HTTPConnection(self._upstream, timeout=SECONDS)
        try:
            upstream.request(method, path, body, headers)
            answer = upstream.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            upstream.close()

    def hands_on(self, operation: str, send: Callable[[], Answer]) -> Answer | None:
        """One call: its answer, or None where the function died of it."""
        with self._lock:
            first, moment = not self._dying, self._hears(operation)
        answer = None if moment == "before" else send()
        if moment is None:
            return answer
        if first:
            self._kill()
            self._dying = False
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                operation = (self.headers.get("x-amz-target") or f"{self.command} {self.path}").rpartition(".")[2]
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                answer = None
                try:
                    answer = line.hands_on(operation, lambda: line._answer(self.command, self.path, headers, body))
                except Exception as problem:
                    line.problems.append(problem)  # the test that listens has to know
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers:
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _hand_on

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
