"""DynamoDB, KMS, Secrets Manager and an OpenAI-compatible provider, in a process of their own on loopback.

They answer at once with what the functions need and nothing else, so that what is measured is the functions. Wire and
framing are the real ones: HTTP/1.1 kept alive, AWS's JSON protocols, server-sent events in chunks.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

SECRET = "benchmark-secret-of-thirty-two-bytes-or-more"
FIRST_TOKEN_SECONDS = 0.02
"""How long the provider under `/slow/v1` takes for its first token."""

TOKENS = 1024
"""How many the provider answers to who sets no limit."""

_PROJECT: dict[str, Any] = {
    "pk": {"S": "p#Bench0p1"},
    "kind": {"S": "project"},
    "name": {"S": "benchmark"},
    "st": {"S": "A"},
    "created": {"N": "1800000000"},
    "ret": {"S": "history"},
    "region": {"S": "eu-central-1"},
    **{name: {"N": "100000000"} for name in ("rpm", "tpm", "rpd", "tpmo", "conc", "prm", "smo")},
    "k_k1": {
        "M": {
            "h": {"B": b64encode(bytes(32)).decode()},
            "e": {"N": "253402300799"},
            "s": {"L": [{"S": "chat"}, {"S": "history"}, {"S": "privacy"}]},
            "c": {"N": "1800000000"},
        }
    },
}
_DAY: dict[str, Any] = {
    "pk": {"S": "s#Bench0p1#sub_mzxw6ytboi2dgnbvmzxw6ytboi2dgnbv#-"},
    "sk": {"S": "day#20261123#local-model"},
    "kind": {"S": "day"},
    "categories": {"L": [{"S": "messages"}]},
    "purpose": {"S": "service"},
    "basis": {"S": "contract, Art. 6(1)(b)"},
    **{name: {"N": "1000"} for name in ("requests", "tokens_in", "tokens_out")},
    "ttl": {"N": "1900000000"},
}
_KEY_ARN = "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000000"
_DATA_KEY = {
    "KeyId": _KEY_ARN,
    "Plaintext": b64encode(bytes(range(64))).decode(),
    "CiphertextBlob": b64encode(bytes(200)).decode(),
}
_SUBJECT_KEY: dict[str, Any] = {
    "pk": {"S": "v#Bench0p1#sub_mzxw6ytboi2dgnbvmzxw6ytboi2dgnbv"},
    "g": {"N": "1"},
    "rev": {"N": "1"},
    "st": {"S": "active"},
    "kv": {"N": "1"},
    "w": {"M": {"1": {"B": _DATA_KEY["CiphertextBlob"]}}},
    "arn": {"S": _KEY_ARN},
    "at": {"N": "1800000000"},
    "ts": {"M": {}},
}


def _chunk(event: dict[str, Any]) -> bytes:
    frame = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1_800_000_000, "model": "stub"}
    data = b"data: " + json.dumps({**frame, **event}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


_TOKEN = _chunk({"choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}]})
_FINISH = _chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
# Each token is a write of its own, one after the other without a pause: the functions are measured at their limit.


@dataclass(frozen=True)
class Stubs:
    """Running stubs."""

    url: str

    def calls(self) -> Counter[str]:
        """How often each AWS service was called since the last look."""
        with urllib.request.urlopen(f"{self.url}/calls", timeout=10) as response:
            return Counter(json.load(response))


@contextmanager
def running() -> Iterator[Stubs]:
    """Start the stubs and end them. They also end when this process does: their standard input closes."""
    command = [sys.executable, "-m", "benchmarks.stubs"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Stubs(process.stdout.readline().strip())
        finally:
            process.terminate()


class _Server:
    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    def serve(self) -> None:
        """Listen on a free port, print the address, answer until the process is ended."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            while request := _read(stream):
                path, headers, body = request
                target = headers.get("x-amz-target")
                if target:
                    service = target.partition("_")[0].partition(".")[0].lower()
                    self._calls[{"trentservice": "kms"}.get(service, service)] += 1
                    _answer(connection, _aws(target.partition(".")[2], json.loads(body)))
                elif path == "/calls":
                    calls, self._calls = self._calls, Counter()
                    _answer(connection, calls)
                else:
                    self._complete(connection, path, json.loads(body) if body else {})

    def _complete(self, connection: socket.socket, path: str, asked: dict[str, Any]) -> None:
        first = FIRST_TOKEN_SECONDS if path.startswith("/slow/") else 0
        if "/converse" in path or "/foundation-models" in path:
            from benchmarks import bedrock_stub

            bedrock_stub.answer(connection, path, asked, first)
        elif asked.get("stream"):
            _stream(connection, asked.get("max_tokens", TOKENS), first)
        else:
            time.sleep(first)
            _answer(connection, _completion(asked.get("max_tokens", TOKENS)))


def _read(stream: BinaryIO) -> tuple[str, dict[str, str], bytes] | None:
    request = stream.readline().split()
    if not request:
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return request[1].decode(), headers, stream.read(int(headers.get("content-length", 0)))


LEASED, SHORT = "Bench0p2", "Bench0p3"
"""Projects beside the usual one: without a cap of chats and with leases, and with `SHORT_RPM` requests a minute."""
SHORT_RPM = 50
_left: dict[str, int] = {}


def _aws(operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
    if operation == "UpdateItem":
        if "projects" not in request["TableName"]:
            return {"Attributes": _DAY}
        if request["Key"]["pk"]["S"] == "p#" + SHORT:
            return _counted(request)
        return {"Attributes": _debited(request)} if request.get("ReturnValues") == "ALL_NEW" else {}
    constant: dict[str, Mapping[str, Any]] = {
        "GetItem": {"Item": _SUBJECT_KEY},
        "Query": {"Items": [], "Count": 0},
        "PutItem": {},
        "BatchWriteItem": {"UnprocessedItems": {}},
        "GetSecretValue": {"SecretString": SECRET},
        "GenerateDataKey": _DATA_KEY,
        "Decrypt": _DATA_KEY,
    }
    return constant[operation]


def _debited(request: dict[str, Any]) -> dict[str, Any]:
    """The project with the counters that the request debits and the slot that it takes, as DynamoDB returns it."""
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    counters = {name: {"N": "99990000"} for short, name in names.items() if short.startswith("#b")}
    leased = {"conc": {"N": "0"}, "lease": {"N": "8"}} if request["Key"]["pk"]["S"] == "p#" + LEASED else {}
    return {**_PROJECT, **leased, **counters, **({"inf": values[":rid"]} if ":rid" in values else {})}


def _counted(request: dict[str, Any]) -> Mapping[str, Any]:
    """A debit of requests a minute as DynamoDB decides it; the other limits are roomy."""
    names = request["ExpressionAttributeNames"].values()
    minutes = [name for name in names if name[:3] in ("r0_", "r1_")]
    left = {name: _left.get(name, SHORT_RPM) for name in minutes}
    refused = min(left.values()) < 1
    if not refused:
        _left.update({name: rest - 1 for name, rest in left.items()})
    counters = {name: {"N": str(_left.get(name, SHORT_RPM))} for name in minutes}
    key = {"M": {**_PROJECT["k_k1"]["M"], "h": request["ExpressionAttributeValues"][":kh"]}}
    item = {**_PROJECT, "rpm": {"N": str(SHORT_RPM)}, "k_k1": key, **counters}
    if refused:
        return {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": item}
    return {"Attributes": item}


def _answer(connection: socket.socket, value: Mapping[str, Any]) -> None:
    body = json.dumps(value).encode()
    status = "400 Bad Request" if "__type" in value else "200 OK"
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def _completion(tokens: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": " word" * tokens}
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    frame = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 1_800_000_000, "model": "stub"}
    return {**frame, "choices": choices, "usage": usage}


def _stream(connection: socket.socket, tokens: int, first: float) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    connection.sendall(head.encode())
    time.sleep(first)
    for _ in range(tokens):
        connection.sendall(_TOKEN)
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    connection.sendall(_FINISH + _chunk({"choices": [], "usage": usage}) + _DONE)


def _end_with_starter() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    _Server().serve()
