"""Bedrock's Converse for the stubs: whole, or as the binary event stream, and the list of models."""

from __future__ import annotations

import json
import socket
import struct
import time
from binascii import crc32
from typing import Any

MODEL = "amazon.nova-lite-v1:0"


def answer(connection: socket.socket, path: str, asked: dict[str, Any], first: float) -> None:
    """Answer one request; `first`: the seconds until the first token."""
    if "/foundation-models" in path:
        model = {"modelId": MODEL, "responseStreamingSupported": True, "inputModalities": ["TEXT"]}
        model |= {"modelLifecycle": {"status": "ACTIVE"}, "inferenceTypesSupported": ["ON_DEMAND"]}
        _send(connection, "application/json", json.dumps({"modelSummaries": [model]}).encode())
        return
    tokens = asked["inferenceConfig"]["maxTokens"]
    usage = {"inputTokens": 10, "outputTokens": tokens, "totalTokens": 10 + tokens}
    if not path.endswith("/converse-stream"):
        time.sleep(first)
        message = {"role": "assistant", "content": [{"text": " word" * tokens}]}
        whole = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
        _send(connection, "application/json", json.dumps(whole).encode())
        return
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
    connection.sendall(head.encode() + _event("messageStart", {"role": "assistant"}))
    time.sleep(first)
    token = _event("contentBlockDelta", {"delta": {"text": " word"}, "contentBlockIndex": 0})
    for _ in range(tokens):
        connection.sendall(token)
    end = _event("contentBlockStop", {"contentBlockIndex": 0}) + _event("messageStop", {"stopReason": "end_turn"})
    connection.sendall(end + _event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}) + b"0\r\n\r\n")


def _send(connection: socket.socket, kind: str, body: bytes) -> None:
    connection.sendall(
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    """A message of the event stream encoding, as a chunk of its own."""
    told = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in told.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(head) + len(body), len(head))
    message = prelude + struct.pack("!I", crc32(prelude)) + head + body
    message += struct.pack("!I", crc32(message))
    return b"%x\r\n%b\r\n" % (len(message), message)
