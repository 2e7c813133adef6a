"""What Bedrock says, in the encoding it says it in, and a knife for streams of bytes."""

from __future__ import annotations

import itertools
import json
import struct
from binascii import crc32
from typing import Any


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces, cut at any places (taken modulo its length), some of them empty."""
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(marks)]


def encode(headers: dict[str, Any], payload: bytes) -> bytes:
    """A message of the event stream encoding, with headers of every type."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return message + struct.pack("!I", crc32(message))


def _header(name: str, value: Any) -> bytes:
    start = bytes([len(name.encode())]) + name.encode()
    match value:
        case bool():
            return start + bytes([0 if value else 1])
        case str():
            return start + struct.pack("!BH", 7, len(value.encode())) + value.encode()
        case bytes():
            return start + struct.pack("!BH", 6, len(value)) + value
        case (kind, number):
            return start + bytes([kind]) + struct.pack({2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q"}[kind], number)
    raise TypeError


def event(kind: str, **payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, json.dumps(payload).encode())


def exception(kind: str, message: str = "canary-message") -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps({"message": message}).encode())


def text(piece: str, block: int = 0) -> bytes:
    return event("contentBlockDelta", delta={"text": piece}, contentBlockIndex=block, p="abcd")


START = event("messageStart", role="assistant")


def stop(reason: str = "end_turn") -> bytes:
    return event("messageStop", stopReason=reason)


def metadata(input_tokens: int, output_tokens: int, **more: int) -> bytes:
    usage = {"inputTokens": input_tokens, "outputTokens": output_tokens, "totalTokens": 0, **more}
    return event("metadata", usage=usage, metrics={"latencyMs": 1})
