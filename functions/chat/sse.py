"""Server-sent events of a chat, in the order that OpenAI's clients depend on.

    role once ─▶ content and tool deltas ─▶ `delta: {}` with finish_reason ─▶ usage with `choices: []` ─▶ [DONE]

The frame around a text never changes during a stream, so it is made once; a token then costs one json.dumps of its
text. (Python's stream helper concatenates repeated roles and names, Node's throws on a missing role or finish_reason.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

DONE = b"data: [DONE]\n\n"
_encode = json.encoder.encode_basestring_ascii


def compact(value: Any) -> bytes:
    """JSON without spaces, as bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


class Frames:
    """The chunks of one completion. `usage` says whether the caller asked for usage at the end."""

    def __init__(self, completion_id: str, created: int, model: str, *, usage: bool) -> None:
        head = compact({"id": completion_id, "object": "chat.completion.chunk", "created": created, "model": model})
        self._start = b"data: " + head[:-1] + b',"choices":['
        self._end = b'],"usage":null}\n\n' if usage else b"]}\n\n"
        self._text_start = self._start + b'{"index":0,"delta":{"content":'
        self._text_end = b'},"logprobs":null,"finish_reason":null}' + self._end

    def role(self) -> bytes:
        """The first chunk."""
        return self._delta({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        """A piece of content."""
        return self._text_start + _encode(text).encode() + self._text_end

    def tool_start(self, index: int, call_id: str, name: str) -> bytes:
        """A tool call begins: id, type and name are sent this once."""
        function = {"name": name, "arguments": ""}
        return self._delta({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})

    def tool_arguments(self, index: int, fragment: str) -> bytes:
        """A piece of a tool call's arguments."""
        return self._delta({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})

    def finish(self, reason: str) -> bytes:
        """The chunk that says why it ended."""
        return self._choice({"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason})

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        """The last chunk, where the caller asked for it."""
        return self._start + b'],"usage":' + compact(usage) + b"}\n\n"

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._choice({"index": 0, "delta": delta, "logprobs": None, "finish_reason": None})

    def _choice(self, choice: dict[str, Any]) -> bytes:
        return self._start + compact(choice) + self._end


def error(payload: Mapping[str, Any]) -> bytes:
    """An error in a stream that has begun: it raises in the client, where a silent end would look like success."""
    return b"data: " + compact(payload) + b"\n\n"
