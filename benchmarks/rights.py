"""A large data subject: all stored messages of one person, exported and then erased on the local stack.

The requests go the way that everybody's go: through the API, the state machines and the shipped functions of a stack
that is started for it. How long a task ran, how many calls it made and how large its process grew stands in the
functions' own log lines (`privacy.tasks.running`). MiniStack sorts and filters a whole partition for each page of it,
so there the time of a page grows with what is stored; on DynamoDB it does not, and the calls are what counts.

RECORDS=50000 python -m benchmarks rights
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import RECORDS
from chatapi.ids import completion_id
from chatapi.store.keys import locator_pk, subject_pk
from chatapi_cli.target import find
from tests.e2e.local_stack import LocalStack, RunningStack

_USER = "large-subject"
_BATCH = 500
_WORDS = ("the", "a", "model", "answers", "questions", "data", "subject", "erasure", "key", "vault", "page", "stream")
_ENDED = ("completed", "failed", "cancelled")
_PATIENCE = 3 * 3600
_STOP_SECONDS = 300  # a busy machine takes its time, and the figures are there


def measure() -> dict[str, float]:
    """Seconds, records a second, calls per 1,000 records and the largest process, of an export and of an erasure."""
    with tempfile.TemporaryDirectory() as home:
        stack = LocalStack(Path(home)).start()
        try:
            return _measured(stack)
        finally:
            stack.process.terminate()
            stack.process.communicate(timeout=_STOP_SECONDS)


def _measured(stack: RunningStack) -> dict[str, float]:
    person = Person(stack)
    begun = time.monotonic()
    person.stores(RECORDS)
    _say(f"{RECORDS} messages stored, {time.monotonic() - begun:.0f} s")
    exported = person.asks("access")
    assert person.exported(exported) == RECORDS
    erased = person.asks("erasure")
    (count,) = [line["count"] for line in erased["stores"] if line["store"] == "records"]
    assert count == 2 * RECORDS, count  # a row and its locator
    assert person.left() == 0
    return {
        "rights.records": RECORDS,
        **person.figures("export", "rights", exported),
        **person.figures("erasure", "erasure", erased),
    }


class Person:
    """One end user of the first project, who has stored a lot."""

    def __init__(self, stack: RunningStack) -> None:
        os.environ["CHATAPI_STACK_FILE"] = str(stack.place.home / "stack.json")
        self.stack, self.project, self.target = stack, stack.info.project_id, find()
        self.subject = self.target.subject(self.project, _USER)
        key = {"authorization": f"Bearer {stack.info.api_key}"}
        self.http = httpx.Client(base_url=stack.info.base_url, headers=key, timeout=60)
        self.records = self.target.records()

    def stores(self, count: int) -> None:
        """Stored completions, as the chat function writes them, but a batch at once."""
        records = self.target.sealed(self.target.vault())
        handle, chance, begun = records.writer(self.project, self.subject), random.Random(7), time.time()
        for start in range(0, count, _BATCH):
            names = [completion_id(begun) for _ in range(start, min(count, start + _BATCH))]
            records.put(handle, "completion", [(name, _chat(name, chance)) for name in names])

    def asks(self, right: str) -> dict[str, Any]:
        """The request, when it has ended well."""
        asked = self.http.post("/privacy/requests", json={"type": right, "subject": {"user": _USER}}).raise_for_status()
        begun = time.monotonic()
        while time.monotonic() - begun < _PATIENCE:
            time.sleep(5)
            answer = self.http.get(f"/privacy/requests/{asked.json()['id']}")
            if answer.status_code == 503:  # MiniStack answers nobody while it sorts a large partition
                continue
            found: dict[str, Any] = answer.raise_for_status().json()
            if found["status"] in _ENDED:
                assert found["status"] == "completed", found
                _say(f"{right}: {time.monotonic() - begun:.0f} s")
                return found
        raise AssertionError("a request does not come to its end")

    def exported(self, request: dict[str, Any]) -> int:
        """How many chats are in the export, each of which is read."""
        link = self.http.get(f"/privacy/requests/{request['id']}/export").raise_for_status().json()
        answer = httpx.get(link["url"], follow_redirects=True, timeout=600).raise_for_status()
        _say(f"export: {len(answer.content) / 2**20:.1f} MiB")
        names = set()
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive, archive.open("chats.jsonl") as lines:
            for line in lines:
                names.add(json.loads(line)["completion"]["id"])
        return len(names)

    def left(self) -> int:
        """How many rows stand of the person, expired or not."""
        rows = self.records.query(subject_pk(self.project, self.subject, 1), expired=True)
        locators = self.records.query(locator_pk(self.project), expired=True)
        return len(rows) + sum(locator["subject"] == self.subject for locator in locators)

    def figures(self, name: str, function: str, request: dict[str, Any]) -> dict[str, float]:
        """What the tasks of a request said of themselves."""
        logs = self.stack.aws("logs")
        group = f"/aws/lambda/{self.stack.info.stack_name}-{function}"
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = [json.loads(e["message"]) for p in pages for e in p["events"] if e["message"].startswith('{"event"')]
        ours = [line for line in lines if line.get("case") == request["id"] and line["stage"] != "late_residue_scan"]
        for line in ours:
            _say(f"{name} {line['stage']}: {line['ms'] / 1000:.1f} s, {line['calls']} calls, {line['peak_mb']} MB")
        seconds, calls = sum(line["ms"] for line in ours) / 1000, sum(line["calls"] for line in ours)
        return {
            f"rights.{name}_seconds": seconds,
            f"rights.{name}_per_second": RECORDS / seconds,
            f"rights.{name}_calls_per_1000": calls / RECORDS * 1000,
            f"rights.{name}_peak_mb": max(line["peak_mb"] for line in ours),
        }


def _chat(name: str, chance: random.Random) -> bytes:
    """A chat of about a kilobyte, as the chat function stores it."""
    question, answer = (" ".join(chance.choices(_WORDS, k=size)) for size in (30, 110))
    completion = {
        "id": name,
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "smollm2-135m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 120, "total_tokens": 160},
        "metadata": {},
    }
    return json.dumps({"messages": [{"role": "user", "content": question}], "completion": completion}).encode()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
