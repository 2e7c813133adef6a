"""What the scripted upstream answers: scripts as values, and their wire shapes."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Script:
    """What one answer does. ``gated``: each piece waits for a release. ``echo``: answers with the last message's words.

    ``tool_calls`` are ``[name, arguments]`` pairs. Failures: ``status`` other than 200 refuses, with ``error`` as the
    body's error object; ``reset`` drops the connection without an answer; ``cut_after`` and ``error_after`` break off
    after so many pieces, by hanging up or by an error event. ``usage`` false leaves the usage out.
    """

    pieces: tuple[str, ...] = ()
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str | None = None
    gated: bool = False
    echo: bool = False
    usage: bool = True
    status: int = 200
    error: dict[str, Any] | None = None
    reset: bool = False
    cut_after: int | None = None
    error_after: int | None = None


DEFAULT = Script(pieces=("Hello", " from", " the", " scripted", " upstream", "."))


def script_of(fields: dict[str, Any]) -> Script:
    fields = {**fields, "tool_calls": tuple(map(tuple, fields.get("tool_calls", ())))}
    return Script(**{**fields, "pieces": tuple(fields.get("pieces", ()))})


def frame(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_795_435_200,
        "model": body.get("model", "scripted"),
    }


def whole(
    script: Script, body: dict[str, Any], pieces: list[str], reason: str, usage: dict[str, Any]
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(pieces)}
    if script.tool_calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(script.tool_calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**frame(body), "object": "chat.completion", "choices": [choice], "usage": usage}


def vector(given: str | list[int], dimensions: int) -> list[float]:
    """What an input is embedded as: exact as 32-bit floats."""
    return [len(given) + place / 4 for place in range(dimensions)]


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    given: Any = body["input"]
    each = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    data = []
    for index, one in reversed(list(enumerate(each))):
        made: Any = vector(one, body.get("dimensions") or 4)
        if body.get("encoding_format") == "base64":
            made = base64.b64encode(struct.pack(f"<{len(made)}f", *made)).decode()
        data.append({"object": "embedding", "index": index, "embedding": made})
    tokens = sum(max(1, len(one) // 4) if isinstance(one, str) else len(one) for one in each)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def text_of(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
