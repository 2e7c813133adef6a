"""Corrections and statements: what a person wants written is ciphertext from the desk on, done, refused or failing."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from privacy.changes import correct
from privacy.changes.client import LambdaDesk
from privacy.changes.handler import handler
from privacy.tasks.handler import TaskFailed
from tests.privacy.test_canary import CANARIES, Haul, attempt, haul, raw_items
from tests.support.deployed import InProcess, change
from tests.support.scripted_answers import Script

__all__ = ["haul"]

TEXT = {place: canary.text for place, canary in CANARIES.items()}
REQUESTS, WHO = "/v1/privacy/requests", {"subject": {"user": TEXT["user"]}}


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk's function in this process; what Lambda would carry is JSON."""

    def ask(self: LambdaDesk, event: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(json.dumps(handler(json.loads(json.dumps(event)), None))))

    monkeypatch.setattr(LambdaDesk, "_ask", ask)


def test_nothing_that_was_handed_in_is_found_outside_its_ciphertext(
    functions: InProcess, haul: Haul, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a stored chat
    project, key = functions.project()
    functions.stack.upstream.script(Script(pieces=("fine",)))
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "wrong"}], "user": TEXT["user"]}
    made = json.loads(attempt(functions, haul, key, "POST", "/v1/chat/completions", {**body, "store": True})[1])["id"]

    def ask(**more: Any) -> tuple[int, Any]:
        status, said = attempt(functions, haul, key, "POST", REQUESTS, {**WHO, **more})
        assert not any(canary.found_in(said) for canary in CANARIES.values())
        return status, json.loads(said)

    fix = {"record": made, "path": "/messages/0/content", "value": TEXT["prompt"]}
    # when it is corrected, given a statement, and asked for in every way that is refused
    bad: list[Any] = [{**fix, name: TEXT["query"]} for name in ("record", "path", "conversation", TEXT["metadata-key"])]
    for entry in [*bad, {**fix, "value": {"a": TEXT["metadata"]}}, TEXT["tool"]]:
        assert ask(type="correction", changes=[entry])[0] == 400
    assert ask(type="completion", statements=[{"record": TEXT["tool"], "text": "x"}])[0] == 400
    assert ask(type="objection", purpose=TEXT["tool"])[0] == 400
    assert ask(type="import", archive=TEXT["tool"])[0] == 400
    statement = {"record": made, "text": TEXT["system"]}
    for asked in (
        {"type": "correction", "changes": [fix]},
        {"type": "completion", "statements": [statement]},
        {"type": "correction", "changes": [{**fix, "path": "/messages/0/name", "value": TEXT["arguments"]}]},
    ):
        status, case = ask(**asked)
        assert status == 202
        change(case["id"], project)
    # and one fails half-way, and stays handed in
    monkeypatch.setattr(correct, "find", lambda *_: (_ for _ in ()).throw(RuntimeError(TEXT["answer"])))
    status, case = ask(type="correction", changes=[{**fix, "value": TEXT["answer"]}])
    with pytest.raises(TaskFailed) as failed:
        change(case["id"], project)
    haul.exceptions.append("".join(traceback.format_exception(failed.value)))
    # then it is the person's to read, and of all that AWS holds nothing can be read
    _, said = attempt(functions, haul, key, "GET", "/v1/chat/completions/{id}/messages", id=made)
    assert json.loads(said)["data"][0]["content"] == TEXT["prompt"]
    assert haul.search(outside=raw_items(functions)) == {}
