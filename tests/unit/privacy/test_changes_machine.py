"""The shipped workflow of changes, and the way to its desk."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import privacy.changes.handler
from chatapi.aws.errors import AwsError
from chatapi.errors import Forbidden, Unavailable
from privacy.changes.client import LambdaDesk
from privacy.changes.handler import handler
from privacy.changes.tasks import TASKS, WORK
from privacy.executions import WORKFLOWS
from privacy.requests import OFFERED
from privacy.tasks.handler import TaskFailed
from tests.unit.privacy.machine import definition
from tests.unit.privacy.world import ALICE, PROJECT, World

STATES: dict[str, dict[str, Any]] = definition("changes")["States"]
WORKING = {name: state for name, state in STATES.items() if state["Type"] == "Task"}


def test_it_calls_every_task_once_with_opaque_ids_retries_and_a_way_to_fail() -> None:
    assert sorted(state["Parameters"]["Payload"]["task"] for state in WORKING.values()) == sorted(TASKS)
    for name, state in WORKING.items():
        assert state["Parameters"]["Payload"].keys() == {"task", "project.$", "request.$"}
        assert state["Retry"][0]["MaxAttempts"] == 4
        if name != "MarkFailed":
            assert (state["Catch"][0]["Next"], state["Catch"][0]["ResultPath"]) == ("MarkFailed", None)
    assert STATES["Failed"]["Type"] == "Fail"
    assert {name for name, state in STATES.items() if state["Type"] == "Succeed"} == {"Done"}


def test_every_right_on_offer_has_a_workflow_that_knows_it() -> None:
    assert {right for right in OFFERED if WORKFLOWS.get(right) == "changes"} == set(WORK)
    assert {WORKFLOWS.get(right, right) for right in OFFERED} == {"changes", "export", "erasure"}


class Function:
    """The function behind the desk: answers as told, or runs the handler."""

    def __init__(self, answer: bytes | None = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answer, self.status, self.headers = answer, status, headers or {}
        self.sent: list[tuple[str, dict[str, str]]] = []

    def open(self, method: str, target: str, body: bytes = b"", headers: Any = None) -> tuple[int, Any, Any]:
        self.sent.append((target, headers))
        answer = self.answer if self.answer is not None else json.dumps(handler(json.loads(body), None)).encode()
        return self.status, self.headers, io.BytesIO(answer)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(privacy.changes.handler._composed, "made", world.change_ports)
    return world


def test_what_is_handed_in_is_sealed_and_no_log_has_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.store(ALICE)
    function = Function()
    desk = LambdaDesk(function, "changes")
    content = [{"record": "chatcmpl-x", "value": "tweety-4711"}]
    first, again = desk.deposit(PROJECT, ALICE, content), desk.deposit(PROJECT, ALICE, content)
    assert first == again
    assert first.name
    assert first.generation == 1
    assert function.sent[0][1]["x-amz-invocation-type"] == "RequestResponse"
    assert "tweety" not in repr(world.records.rows) + repr(world.requests.rows) + capsys.readouterr().out
    desk.discard(PROJECT, ALICE, first.name)
    assert not [row for row in world.records.rows.values() if row["kind"] == "change"]
    assert desk.deposit(PROJECT, "sub_" + "e" * 32, content).name is None


def test_a_refusal_of_the_desk_comes_out_as_one_and_a_fault_says_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.store(ALICE)
    world.wraps.freeze(PROJECT, ALICE, 1, "dsr_x")
    with pytest.raises(Unavailable):
        LambdaDesk(Function(), "changes").deposit(PROJECT, ALICE, [])
    world.breaker.calls, world.breaker.stop_at = 0, 1
    with pytest.raises(TaskFailed) as raised:
        handler({"task": "deposit", "project": PROJECT, "subject": ALICE, "content": "tweety"}, None)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    assert "tweety" not in capsys.readouterr().out
    refused = json.dumps({"refused": {"status": 403, "code": "c", "message": "m", "param": None}}).encode()
    with pytest.raises(Forbidden, match="m"):
        LambdaDesk(Function(refused), "changes").discard(PROJECT, ALICE, "x")


@pytest.mark.parametrize(
    "function",
    [Function(b"{}", 500), Function(b"{}", headers={"X-Amz-Function-Error": "Unhandled"}), Function(b"x" * 70_000)],
)
def test_a_desk_that_does_not_answer_is_an_error_of_the_store(function: Function) -> None:
    with pytest.raises(AwsError):
        LambdaDesk(function, "changes").discard(PROJECT, ALICE, "x")


def test_an_answer_without_an_end_is_read_no_further_than_it_is_taken() -> None:
    class Endless(io.BytesIO):
        pieces = 0

        def read1(self, size: int | None = -1, /) -> bytes:
            self.pieces += 1
            return b"x" * 1024

    class Talking(Function):
        def open(self, method: str, target: str, body: bytes = b"", headers: Any = None) -> tuple[int, Any, Any]:
            return 200, {}, answer

    answer = Endless()
    with pytest.raises(AwsError):
        LambdaDesk(Talking(), "changes").discard(PROJECT, ALICE, "x")
    assert answer.pieces == 65
    assert answer.closed
