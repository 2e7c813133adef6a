"""An erasure is not alone: it is asked for several times at once, and a chat of the same person is still streaming.

RGT-5.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from tests.e2e.local_stack import RunningStack
from tests.e2e.person import ENDED, Person
from tests.support.canary import Canary, as_bytes

END_OF_TEXT = "2"
"""The token with which the local model ends its answer: without it, it goes on for as many tokens as are asked for."""
STORES = ("RecordsTable", "VaultTable", "RequestsTable", "LedgerTable", "SignalsTable", "ProjectsTable")


def conversation(who: Person, text: str) -> str:
    items = [{"type": "message", "role": "user", "content": text}]
    made = who.http.post("/conversations", json={"items": items, "user": who.name})
    return str(made.raise_for_status().json()["id"])


def second_scan(who: Person, request: str) -> None:
    """The late residue scan, by one more execution of the case. On AWS it waits for as long as a function may still be
    writing; the local stack waits for five seconds, which a slow machine's stream outlasts."""
    states, machine = who.stack.aws("stepfunctions"), who.stack.info.outputs["ErasureMachine"]
    who.operator("requests", "resume", who.stack.info.project_id, request, "--json")
    deadline = time.monotonic() + 120
    while True:
        found = states.list_executions(stateMachineArn=machine)["executions"]
        statuses = [one["status"] for one in found if one["name"].startswith(request)]
        if "RUNNING" not in statuses:
            assert statuses == ["SUCCEEDED", "SUCCEEDED"]
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def rows(stack: RunningStack, table: str, mark: str) -> list[dict[str, Any]]:
    """What a store has that names something, expired or not, as DynamoDB has it."""
    pages = stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.info.outputs[table])
    return [row for page in pages for row in page["Items"] if mark in json.dumps(row, default=repr)]


def test_an_erasure_that_is_asked_for_at_once_by_many_is_one_with_one_certificate(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given a person with something to erase
    who = person("erased-at-once")
    conversation(who, "hello")
    body = {"type": "erasure", "subject": {"user": who.name}}
    # when they are asked for several times at once
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: who.http.post("/privacy/requests", json=body), range(6)))
    # then it is one request, which was carried out once
    assert {answer.status_code for answer in answers} == {202}
    (request,) = {answer.json()["id"] for answer in answers}
    done = who.until(request, *ENDED)
    assert {line["store"]: line["count"] for line in done["stores"]}["vault"] == 1
    executions = stack.aws("stepfunctions").list_executions(stateMachineArn=stack.info.outputs["ErasureMachine"])
    assert len([one for one in executions["executions"] if one["name"].startswith(request)]) == 1
    path = f"/privacy/requests/{request}/certificate"
    with ThreadPoolExecutor(4) as pool:
        (certificate,) = {answer.content for answer in pool.map(who.get, [path] * 4)}
    # and asked for again it is another one, which says that there was nothing left
    again = who.asks("erasure")
    assert again["id"] != request
    assert {line["store"]: line["outcome"] for line in again["stores"]}["records"] == "nothing_found"
    assert who.get(path).content == certificate


def streams(who: Person, text: str, tokens: int, begun: Event) -> tuple[str, list[str]]:
    """A stored chat as a stream: its id, and the data of each of its events."""
    body = {"model": "smollm2-135m", "messages": [{"role": "user", "content": text}], "user": who.name}
    more = {"store": True, "stream": True, "max_tokens": tokens, "logit_bias": {END_OF_TEXT: -100}}
    name, seen = "", []
    with who.http.stream("POST", "/chat/completions", json=body | more, timeout=600) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                seen.append(line.removeprefix("data: "))
                name = name or json.loads(seen[0])["id"]
                begun.set()
    return name, seen


def test_a_chat_that_streams_while_its_person_is_erased_leaves_nothing(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    for tokens in (24, 400, 1500):  # a fast machine ends a short stream before the erasure begins: then a longer one
        canary, begun, who = Canary(f"streaming{tokens}"), Event(), person(f"erased-while-streaming-{tokens}")
        kept = conversation(who, canary.text)
        (locator,) = [row for row in rows(stack, "RecordsTable", kept) if row["kind"]["S"] == "locator"]
        with ThreadPoolExecutor(1) as pool:
            # given a stored chat that streams
            streaming = pool.submit(streams, who, canary.text, tokens, begun)
            assert begun.wait(120)
            # when its person is erased meanwhile
            done = who.asks("erasure")
            name, seen = streaming.result()
        if seen[-1] != "[DONE]":
            break
    # then whoever streams is told at the end that nothing was stored
    assert len(seen) > 2  # a busy machine sends several tokens in one event
    assert json.loads(seen[-1])["error"]["code"] == "store_failed"
    # and nothing of it can be read, nor of what had been stored before
    assert done["status"] == "completed"
    assert who.get(f"/chat/completions/{name}").status_code == 404
    assert who.get(f"/conversations/{kept}").status_code == 404
    # and after the second scan nothing at all is there: no row, no locator, no key. A tombstone stays
    second_scan(who, done["id"])
    subject = locator["subject"]["S"]
    assert rows(stack, "RecordsTable", subject) == rows(stack, "RecordsTable", name) == []
    (tombstone,) = rows(stack, "VaultTable", subject)
    assert tombstone["w"]["M"] == {}
    for store in STORES:
        assert not canary.found_in(as_bytes(rows(stack, store, "")))
