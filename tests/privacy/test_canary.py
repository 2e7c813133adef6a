"""What a user sent stays where it belongs: in the answer, and as ciphertext in the Records table. Nowhere else.

Canaries are planted in every place that a caller can fill, through success, refusal and failure, with an erasure at the
end. Then every log line, exception, AWS request, execution input and raw item is searched, in plain and encoded.
"""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any

import boto3
import pytest

from chatapi.aws.client import AwsClient
from chatapi.keys import SCOPES
from tests.support.canary import Canary, as_bytes
from tests.support.deployed import InProcess, erase
from tests.support.scripted_answers import Script
from tests.support.transformed import REGION

CHAT, KEYS = "/v1/chat/completions", "/v1/keys"
PLACES = (
    "prompt",
    "system",
    "arguments",
    "user",
    "safety",
    "metadata-key",
    "metadata",
    "header",
    "tool",
    "answer",
    "query",
    "key-name",
)
CANARIES = {place: Canary(place) for place in PLACES}
TABLES = (
    "ProjectsTable",
    "VaultTable",
    "RecordsTable",
    "RequestsTable",
    "SignalsTable",
    "PatternsTable",
    "LedgerTable",
)


class Haul:
    """Everything that left the functions: logs, exceptions' texts, and each call to AWS."""

    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output
        self._logs = ""
        self.exceptions: list[str] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def everything(self, outside: bytes = b"") -> bytes:
        """All of it as bytes, for canaries of a test's own."""
        self.search()
        return self._logs.encode() + "\n".join(self.exceptions).encode() + as_bytes([*self.calls]) + outside

    def search(self, *, outside: bytes = b"") -> dict[str, list[str]]:
        """place of planting → where it was found."""
        printed = self._output.readouterr()
        self._logs += printed.out + printed.err
        where = {
            "logs": self._logs.encode(),
            "exceptions": "\n".join(self.exceptions).encode(),
            "calls": as_bytes([list(call) for call in self.calls]),
            "stores": outside,
        }
        return {
            place: found
            for place, canary in CANARIES.items()
            if (found := [name for name, text in where.items() if canary.found_in(text)])
        }


@pytest.fixture
def haul(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Haul:
    caught = Haul(capfd)
    real = AwsClient.call

    def recording(self: AwsClient, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        caught.calls.append((type(self).__name__, operation, payload))
        return real(self, operation, payload)

    monkeypatch.setattr(AwsClient, "call", recording)
    return caught


def raw_items(functions: InProcess) -> bytes:
    """Every item of every table, as it lies there."""
    dynamo = boto3.client("dynamodb", REGION, endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com")
    return b"\n".join(
        as_bytes(page["Items"])
        for name in TABLES
        for page in dynamo.get_paginator("scan").paginate(TableName=functions.stack.outputs[name])
    )


def planted(**more: Any) -> dict[str, Any]:
    text = {place: canary.text for place, canary in CANARIES.items()}
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"a": text["arguments"]})},
    }
    return {
        "model": "smollm2-135m",
        "messages": [
            {"role": "system", "content": text["system"]},
            {"role": "user", "content": text["prompt"]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": text["tool"]},
        ],
        "user": text["user"],
        "safety_identifier": text["safety"],
        "metadata": {text["metadata-key"]: text["metadata"]},
        **more,
    }


def attempt(functions: InProcess, haul: Haul, *request: Any, **more: Any) -> tuple[int, bytes]:
    headers = {"X-Odd": CANARIES["header"].text, "User-Agent": CANARIES["header"].text}
    try:
        status, answered, body = functions.run(*request, headers=headers, **more)
    except Exception as error:
        haul.exceptions.append("".join(traceback.format_exception(error)))
        return 500, b""
    assert not any(canary.found_in(as_bytes(answered)) for canary in CANARIES.values())
    return status, body


def test_nothing_a_user_sent_is_found_outside_its_ciphertext(functions: InProcess, haul: Haul) -> None:
    # given canaries in every field, through chats that succeed, are stored, streamed, refused, and fail half-way
    project, key = functions.project()
    upstream = functions.stack.upstream
    answer = Script(pieces=(CANARIES["answer"].text, " fine"))
    upstream.script(*[answer] * 4, Script(pieces=("a", CANARIES["answer"].text), cut_after=1), Script(status=500))
    upstream.script(Script(status=400, error={"message": CANARIES["prompt"].text}))
    assert attempt(functions, haul, key, "POST", CHAT, planted())[0] == 200
    assert attempt(functions, haul, key, "POST", CHAT, planted(stream=True))[0] == 200
    status, body = attempt(functions, haul, key, "POST", CHAT, planted(store=True))
    done = json.loads(body)
    assert status == 200
    assert attempt(functions, haul, key, "POST", CHAT, planted(store=True, stream=True))[0] == 200
    refusals = [planted(), planted(), planted(), planted(model=CANARIES["prompt"].text), planted(temperature="x")]
    refusals += [{"messages": planted()["messages"]}, "{" + CANARIES["prompt"].text]
    for refused in refusals:
        status, body = attempt(functions, haul, key, "POST", CHAT, refused)
        assert status >= 400
        assert not any(canary.found_in(body) for canary in CANARIES.values())
    # the answer itself is the caller's
    assert CANARIES["answer"].found_in(attempt(functions, haul, key, "GET", CHAT + "/{id}", id=done["id"])[1])
    for resource in (CHAT + "/{id}", "/v1/models/{id}", "/v1/privacy/requests/{id}"):
        assert attempt(functions, haul, key, "GET", resource, id=CANARIES["query"].text)[0] == 404

    # and an erasure by the planted user, with bad requests beside it
    for bad in ({"type": CANARIES["user"].text}, {"type": "erasure", "subject": {"mail": CANARIES["user"].text}}):
        status, body = attempt(functions, haul, key, "POST", "/v1/privacy/requests", bad)
        assert status == 400
        assert not CANARIES["user"].found_in(body)
    subject = {"user": CANARIES["user"].text}
    for purpose, expected in (("marketing", 200), (CANARIES["user"].text, 400)):
        choice = {"subject": subject, "purpose": purpose, "state": "withdrawn"}
        status, body = attempt(functions, haul, key, "POST", "/v1/privacy/consents", choice)
        assert status == expected, body
        assert not CANARIES["user"].found_in(body)
    request = {"type": "erasure", "subject": subject}
    status, body = attempt(functions, haul, key, "POST", "/v1/privacy/requests", request)
    assert status == 202, body
    assert not CANARIES["user"].found_in(body)
    assert haul.search(outside=raw_items(functions)) == {}

    erase(json.loads(body)["id"], project)
    case = {"id": json.loads(body)["id"]}
    assert (
        json.loads(attempt(functions, haul, key, "GET", "/v1/privacy/requests/{id}", **case)[1])["status"]
        == "completed"
    )
    certificate = attempt(functions, haul, key, "GET", "/v1/privacy/requests/{id}/certificate", **case)[1]
    assert not any(canary.found_in(certificate) for canary in CANARIES.values())

    # then no canary is anywhere, and the stored chat is gone (the alias led from `user` to `safety_identifier`)
    assert haul.search(outside=raw_items(functions)) == {}
    assert attempt(functions, haul, key, "GET", CHAT + "/{id}", id=done["id"])[0] == 404
    # and the KMS calls named opaque ids alone, the executions a case or a choice and its project
    contexts = [payload["EncryptionContext"] for _, _, payload in haul.calls if "EncryptionContext" in payload]
    assert contexts
    assert {name for context in contexts for name in context} == {"tenant", "subject", "generation", "purpose"}
    inputs = [json.loads(payload["input"]) for _, operation, payload in haul.calls if operation == "StartExecution"]
    (choice, erasure) = inputs
    assert erasure == {"project": project, "request": case["id"]}
    assert choice.keys() == {"project", "subject", "purpose", "revision", "request"}
    assert (choice["project"], choice["purpose"], choice["subject"][:4]) == (project, "marketing", "sub_")


def test_a_keys_name_is_kept_with_the_project_and_is_nowhere_else(functions: InProcess, haul: Haul) -> None:
    # given a key with a canary for its name, rotated and shown, and requests that are refused for what they carry
    name = CANARIES["key-name"].text
    project, key = functions.project(scopes=SCOPES)
    status, body = attempt(functions, haul, key, "POST", KEYS, {"name": name, "scopes": ["chat"]})
    made = json.loads(body)
    assert (status, made["name"]) == (201, name)
    assert attempt(functions, haul, key, "POST", KEYS + "/{id}/rotate", {}, id=made["id"])[0] == 201
    assert attempt(functions, haul, key, "GET", KEYS)[0] == 200
    named = {"name": name, "scopes": ["chat"]}
    for bad in (
        {**named, name: 1},
        {**named, "scopes": [name]},
        {**named, "models": [name + " "]},
        {**named, "cidrs": [name]},
        {**named, "retention": name},
        {**named, "name": name * 9},
        "{" + name,
    ):
        status, body = attempt(functions, haul, key, "POST", KEYS, bad)
        assert status == 400
        assert not CANARIES["key-name"].found_in(body)
    assert attempt(functions, haul, key, "DELETE", KEYS + "/{id}", id=name)[0] == 404
    assert attempt(functions, haul, key, "POST", KEYS + "/{id}/rotate", {name: 1}, id=made["id"])[0] == 400
    # then it is in the project's item, by the catalogue, and in no log and no exception
    assert haul.search() == {"key-name": ["calls"]}
    written = [payload for _, _, payload in haul.calls if CANARIES["key-name"].found_in(as_bytes(payload))]
    assert {payload["TableName"] for payload in written} == {functions.stack.outputs["ProjectsTable"]}
    assert {payload["Key"]["pk"]["S"] for payload in written} == {"p#" + project}
    # and it leaves the item with its keys
    for kid in [k["id"] for k in json.loads(attempt(functions, haul, key, "GET", KEYS)[1])["data"]]:
        if kid != "k1":
            assert attempt(functions, haul, key, "DELETE", KEYS + "/{id}", id=kid)[0] == 200
    assert not CANARIES["key-name"].found_in(raw_items(functions))


def test_the_search_would_find_a_leak_in_each_of_the_places(functions: InProcess, haul: Haul) -> None:
    # given leaks on purpose: a log line, an exception, a call, a raw item
    leak = CANARIES["prompt"].text
    print(json.dumps({"event": "leak", "value": leak}))
    haul.exceptions.append(f"ValueError: {leak}")
    item = {"pk": {"S": "leak"}, "value": {"B": base64.b64encode(leak.encode()).decode()}}
    AwsClient("dynamodb", region=REGION).call(
        "PutItem", {"TableName": functions.stack.outputs["SignalsTable"], "Item": item}
    )
    # then each is found
    assert haul.search(outside=raw_items(functions)) == {"prompt": ["logs", "exceptions", "calls", "stores"]}
    AwsClient("dynamodb", region=REGION).call(
        "DeleteItem", {"TableName": functions.stack.outputs["SignalsTable"], "Key": {"pk": {"S": "leak"}}}
    )
