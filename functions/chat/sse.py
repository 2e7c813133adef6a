"""Server-sent events of a chat, in the order that OpenAI's clients depend on.

    role once ─▶ content and tool deltas ─▶ `delta: {}` with finish_reason ─▶ usage with `choices: []` ─▶ [DONE]

The frame around a text never changes during an answer, so it is made once; a token then costs one json.dumps of its
text. (Python's stream helper concatenates repeated roles and names, Node's throws on a missing role or finish_reason.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": \n\n"
"""A comment: keeps proxies and readers from giving up; every client ignores it (an empty `data:` crashes them)."""
_BLOCK = 32
_encode = json.encoder.encode_basestring_ascii
_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def compact(value: Any) -> bytes:
    """JSON without spaces, as bytes. `value` is a tree: nothing looks for cycles, which would double the time."""
    return _compact(value).encode()


class Frames:
    """The chunks of one completion. `usage` says whether the caller asked for usage at the end; `padded` whether each
    text is padded to a multiple of 32 characters, so that whoever sees the size of packets learns less of it."""

    def __init__(self, completion_id: str, created: int, model: str, *, usage: bool, padded: bool = False) -> None:
        self._head = {"id": completion_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._end = b'],"usage":null' if usage else b"]"
        self._padded = padded
        self._index = 0
        self._custom: set[int] = set()
        self.served(None, None)

    def served(self, fingerprint: str | None, tier: str | None) -> None:
        """What the provider said of itself goes into the frames from here on."""
        head = compact({**self._head, "service_tier": tier or "default", "system_fingerprint": fingerprint})
        self._start = b"data: " + head[:-1] + b',"choices":['
        self.choose(self._index)

    def choose(self, index: int) -> None:
        """The frames from here on are of this choice."""
        self._index = index
        self._text_start = self._start + b'{"index":%d,"delta":{"content":' % index
        self._text_end = b'},"logprobs":null,"finish_reason":null}' + self._end + b"}\n\n"

    def role(self, extra: Mapping[str, Any] | None = None) -> bytes:
        """The first chunk of a choice; `extra` fields of ours go into it."""
        frame = self._delta({"role": "assistant", "content": "", "refusal": None})
        return frame[:-3] + b"," + compact(extra)[1:] + b"\n\n" if extra else frame

    def text(self, text: str, logprobs: Sequence[dict[str, Any]] = ()) -> bytes:
        """A piece of content."""
        if logprobs or self._padded:
            return self._delta({"content": text}, logprobs, len(text))
        return self._text_start + _encode(text).encode() + self._text_end

    def refusal(self, text: str) -> bytes:
        """A piece of a refusal."""
        return self._delta({"refusal": text}, size=len(text))

    def tool_start(self, index: int, call_id: str, name: str, *, custom: bool = False) -> bytes:
        """A tool call begins: id, type and name are sent this once. That of a custom tool as OpenAI sends it and its
        types for Node have it; those for Python do not yet (openai-python, issue 2530)."""
        (self._custom.add if custom else self._custom.discard)(index)
        kind, given = ("custom", "input") if custom else ("function", "arguments")
        call = {"index": index, "id": call_id, "type": kind, kind: {"name": name, given: ""}}
        return self._delta({"tool_calls": [call]}, size=len(name))

    def tool_arguments(self, index: int, fragment: str) -> bytes:
        """A piece of a tool call's arguments, or of the text that a custom tool is given."""
        given = {"custom": {"input": fragment}} if index in self._custom else {"function": {"arguments": fragment}}
        return self._delta({"tool_calls": [{"index": index, **given}]}, size=len(fragment))

    def finish(self, reason: str) -> bytes:
        """The chunk that says why it ended."""
        return self._choice({"index": self._index, "delta": {}, "logprobs": None, "finish_reason": reason})

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        """The last chunk, where the caller asked for it."""
        return self._start + b'],"usage":' + compact(usage) + b"}\n\n"

    def _delta(self, delta: dict[str, Any], logprobs: Sequence[dict[str, Any]] = (), size: int | None = None) -> bytes:
        told = {"content": list(logprobs), "refusal": None} if logprobs else None
        return self._choice({"index": self._index, "delta": delta, "logprobs": told, "finish_reason": None}, size)

    def _choice(self, choice: dict[str, Any], size: int | None = None) -> bytes:
        padding = b""
        if self._padded and size is not None:
            padding = b',"obfuscation":"%b"' % os.urandom(_BLOCK).hex()[: -size % _BLOCK].encode()
        return self._start + compact(choice) + self._end + padding + b"}\n\n"


def error(payload: Mapping[str, Any]) -> bytes:
    """An error in a stream that has begun: it raises in the client, where a silent end would look like success."""
    return b"data: " + compact(payload) + b"\n\n"
