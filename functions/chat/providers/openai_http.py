"""Any upstream that speaks OpenAI's chat completions over HTTP (OpenAI API reference, "Create chat completion").

Upstream it is always a stream, whatever the caller wanted: that is how a caller who hangs up stops the work. Nothing is
stored there (``store: false`` where the server knows it, commitment MSG-1); no text of its errors leaves the adapter.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from chat.providers.accepted import AcceptedStream
from chat.providers.arguments import read_arguments
from chat.providers.base import (
    Call,
    EmbedCall,
    Event,
    Finish,
    FinishReason,
    ProviderBroken,
    ProviderMisconfigured,
    Reasoning,
    Refusal,
    Served,
    Stream,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chat.providers.dialects import Dialect
from chat.providers.embedding import Spoilt, openai_answer, openai_body
from chat.providers.server import Server
from chat.providers.silence import idle, remaining
from chat.providers.sse import SseDecoder
from chatapi.aws.errors import TransportError
from chatapi.aws.transport import Response

_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_TIERS = ("default", "flex", "scale", "priority", "fast")
_LARGEST_ANSWER = 48 * 1024 * 1024
"""Of embeddings, in bytes: 2048 vectors of 3072 numbers are 34 MB in base64."""
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode  # parsed JSON has no cycles


class OpenAIProvider:
    """An upstream behind `server`, which speaks `dialect`. `read_timeout` (seconds) bounds each wait for bytes."""

    def __init__(self, server: Server, dialect: Dialect, *, read_timeout: float = 60.0) -> None:
        self._server = server
        self._dialect = dialect
        self._read_timeout = read_timeout

    def open(self, call: Call, *, timeout: float) -> Stream:
        """Send the call; return once the upstream answered 200 with a stream of events."""
        deadline = time.monotonic() + timeout
        body = _encode(self._body(call)).encode()
        more = call.guardrail.headers() if call.guardrail else {}
        response = self._server.send("/chat/completions", body, "text/event-stream", timeout, more)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.close()
            raise ProviderMisconfigured
        events = _events(response, deadline, self._read_timeout)
        if self._dialect.tagged:
            from chat.providers.bedrock_openai import untagged

            events = untagged(events)
        return AcceptedStream(events, response, call)

    def embed(self, call: EmbedCall, *, timeout: float) -> Stream:
        """Send the inputs and read the answer whole."""
        deadline = time.monotonic() + timeout
        body = openai_body(call, self._dialect.pseudonym)
        response = self._server.send("/embeddings", body, "application/json", timeout, {})
        raw = bytearray()
        try:
            while chunk := response.read1(timeout=remaining(deadline, self._read_timeout)):
                raw += chunk
                if len(raw) > _LARGEST_ANSWER:
                    break
            complete = len(raw) <= _LARGEST_ANSWER
        except TransportError:
            complete = False
        response.close()
        return openai_answer(bytes(raw), call) if complete else Spoilt()

    def _body(self, call: Call) -> dict[str, Any]:
        optional = {
            "temperature": call.temperature,
            "top_p": call.top_p,
            "stop": list(call.stop) or None,
            "tools": call.tools,
            "tool_choice": call.tool_choice,
            "response_format": call.response_format,
            "seed": call.seed,
            **dict.fromkeys(self._dialect.pseudonym, call.user),
        }
        if self._dialect.cache:
            optional[self._dialect.cache] = call.cache_key
        return {
            **call.extra,
            **{name: value for name, value in optional.items() if value is not None},
            self._dialect.limit: call.max_tokens,
            "model": call.model,
            "messages": list(map(_readable, call.messages)) if self._dialect.reads_calls else call.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"store": False} if self._dialect.store else {}),
        }


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    """A message for a server that parses the arguments of its calls and fails where they are no object: llama.cpp's 500
    would look like its own fault."""
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"] if read_arguments(function["arguments"]) else "{}"
        calls.append({**call, "function": {**function, "arguments": arguments}})
    return {**message, "tool_calls": calls}


def _events(response: Response, deadline: float, read_timeout: float) -> Iterator[Event]:
    decoder = SseDecoder()
    translator = _Translator()
    found: list[Event] = []  # in the chunk at hand; what stands in it before a fault was said all the same
    try:
        while True:
            yield from idle(response, deadline, read_timeout)
            chunk = response.read1(timeout=remaining(deadline, read_timeout))
            if not chunk:
                break
            for data in decoder.feed(chunk):
                if data == b"[DONE]":
                    return
                translator.read(_chunk(data), found)
                yield from found
                found.clear()
    except (TransportError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        broken = True
    else:
        broken = False  # the end without [DONE]: whether it is one, the stream decides by its Finish
    if broken:
        yield from found
        raise ProviderBroken  # outside the handler: the cause may quote content


def _chunk(data: bytes) -> Any:
    """A chunk's JSON, by the faster parser: it is loaded anyway, to check requests. Of an answer's texts none is kept
    for the next one, as it would be by default. What it refuses (half of a surrogate pair, cut apart) Python may take.
    """
    try:
        return from_json(data, cache_strings="keys")
    except ValueError:
        return json.loads(data)


def _logprobs(told: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The tokens of a piece with what OpenAI's type has and no more."""
    return tuple(
        {**_logprob(token), "top_logprobs": [_logprob(other) for other in token.get("top_logprobs") or ()]}
        for token in told.get("content") or ()
    )


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    # A server may say -Infinity, which JSON does not have; OpenAI's own floor is -9999.
    raw = token.get("bytes")
    return {
        "token": str(token["token"]),
        "logprob": max(float(token["logprob"]), -9999.0),
        "bytes": [int(byte) for byte in raw] if raw is not None else None,
    }


def _name(text: Any) -> str | None:
    """A fingerprint is a short word; anything else an upstream might say there goes nowhere."""
    return text if isinstance(text, str) and text.isascii() and text.isprintable() and len(text) <= 64 else None


class _Translator:
    """From OpenAI's chunks to events, for one stream."""

    def __init__(self) -> None:
        self._tools: dict[Any, int] = {}  # the upstream's index of a tool call to ours, which has no gaps
        self._tool_key: Any = None
        self._served = False
        self._intervened = False

    def read(self, chunk: dict[str, Any], events: list[Event]) -> None:
        """Add the events of a chunk. No generator, which each token would have to make and end."""
        if chunk.get("error"):
            raise ValueError("an error event")
        if not self._served:
            self._served = True
            fingerprint, tier = chunk.get("system_fingerprint"), chunk.get("service_tier")
            if fingerprint or tier:
                events.append(Served(_name(fingerprint), tier if tier in _TIERS else None))
        if chunk.get("amazon-bedrock-guardrailAction") == "INTERVENED":
            self._intervened = True
            events.append(Finish("content_filter"))
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            text = delta.get("content")
            more = len(delta) > 1 or text is None  # nearly every chunk is a piece of content and nothing else
            thought = more and (delta.get("reasoning_content") or delta.get("reasoning"))  # DeepSeek's name, and vLLM's
            if isinstance(thought, str) and thought:  # a gateway may send an object, with a signature
                events.append(Reasoning(thought))
            if text:
                told = choice.get("logprobs")
                events.append(Text(text, _logprobs(told)) if told else Text(text))
            if more:
                events += self._beside(delta)
            reason = choice.get("finish_reason")
            if reason:
                events.append(Finish("content_filter" if self._intervened else _FINISH.get(reason, "stop")))
        usage = chunk.get("usage")
        if usage:
            given, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
            events.append(
                Usage(
                    int(usage["prompt_tokens"]),
                    int(usage["completion_tokens"]),
                    int(given.get("cached_tokens") or 0),
                    reasoning_tokens=int(made.get("reasoning_tokens") or 0),
                    cache_written_tokens=int(given.get("cache_write_tokens") or 0),
                )
            )

    def _beside(self, delta: dict[str, Any]) -> Iterator[Event]:
        if delta.get("refusal"):
            yield Refusal(delta["refusal"])
        for tool in delta.get("tool_calls") or ():
            yield from self._tool(tool)

    def _tool(self, tool: dict[str, Any]) -> Iterator[Event]:
        custom = tool.get("custom")
        called = custom or tool.get("function") or {}
        key = self._tool_key = tool.get("index", tool.get("id", self._tool_key))  # some servers leave the index out
        if key not in self._tools:
            self._tools[key] = len(self._tools)
            made = tool.get("id") or f"call_{os.urandom(12).hex()}"
            yield ToolStart(self._tools[key], made, called["name"], custom=bool(custom))
        if given := called.get("input" if custom else "arguments"):
            yield ToolArguments(self._tools[key], given)
