"""The calls of a chat with nothing of ours: what plain Python pays for them on this machine, so that others can judge.

Three signed calls and one stream, each a write and reads on a kept connection: JSON made of the payloads that a chat
sends, two hashes and one HMAC for a signature, the answers and each chunk of the stream parsed. No check, no policy, no
limit, no settlement, no timeout, no framing of HTTP understood, nothing said to the caller.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from chatapi.aws.client import AwsClient
from chatapi.aws.transport import Transport


def bare(url: str, chat: Callable[[], None]) -> Callable[[], None]:
    """The calls that `chat` makes, as it makes them once, to be sent again and again to `url`."""
    payloads, asked = _watched(chat)
    place = urlsplit(url)
    line = socket.create_connection((str(place.hostname), place.port or 80))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def calls() -> None:
        for operation, payload in payloads:
            body = json.dumps(payload).encode()
            canonical = "\n".join(["POST", "/", "", "t" * 900, hashlib.sha256(body).hexdigest()])
            digest = hashlib.sha256(canonical.encode()).hexdigest()
            signature = hmac.digest(b"k" * 32, digest.encode(), "sha256").hex()
            head = f"POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.{operation}\r\nauthorization: {signature}"
            line.sendall(f"{head}\r\nx: {'t' * 900}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            json.loads(line.recv(65536).partition(b"\r\n\r\n")[2])
        body = json.dumps(asked).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body)
        answer = b""
        while not answer.endswith(b"[DONE]\n\n\r\n0\r\n\r\n"):
            answer += line.recv(65536)
        for event in answer.split(b"data: ")[1:-1]:
            json.loads(event.partition(b"\n")[0])

    return calls


def _watched(chat: Callable[[], None]) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]:
    """The payloads of a chat's calls to AWS, by operation, and what its provider is asked."""
    payloads: list[tuple[str, dict[str, Any]]] = []
    bodies: list[bytes] = []
    call, send = AwsClient.call, Transport.send

    def calling(self: AwsClient, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        payloads.append((operation, payload))
        return call(self, operation, payload)

    def sending(self: Transport, method: str, target: str, headers: Any, body: bytes, **more: Any) -> Any:
        bodies.append(body)
        return send(self, method, target, headers, body, **more)

    AwsClient.call, Transport.send = calling, sending  # type: ignore[method-assign]
    try:
        chat()
    finally:
        AwsClient.call, Transport.send = call, send  # type: ignore[method-assign]
    return payloads, next(asked for asked in map(json.loads, bodies) if "messages" in asked)
