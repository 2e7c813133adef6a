"""Any upstream that speaks OpenAI's chat completions over HTTP (OpenAI API reference, "Create chat completion").

Upstream it is always a stream, whatever the caller wanted: that is how a caller who hangs up stops the work. Nothing is
stored there (``store: false``, commitment MSG-1) and no message of the upstream's leaves this file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chat.providers.base import (
    AcceptedStream,
    Call,
    EmbedCall,
    Event,
    Finish,
    FinishReason,
    ProviderBroken,
    ProviderRejected,
    ProviderUnavailable,
    Reasoning,
    Refusal,
    Rejection,
    Served,
    Stream,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chat.providers.embedding import Spoilt, openai_answer, openai_body
from chat.providers.silence import idle, remaining
from chat.providers.sse import SseDecoder
from chatapi.aws.errors import TransportError
from chatapi.aws.transport import Response, Transport

_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_TIERS = ("default", "flex", "scale", "priority", "fast")
_LARGEST_ANSWER = 48 * 1024 * 1024
"""Of embeddings, in bytes: 2048 vectors of 3072 numbers are 34 MB in base64."""
_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error")


class OpenAIProvider:
    """An upstream at ``base_url`` (``https://host/v1``; ``http`` for this machine only).

    ``api_key`` is asked for at each call. ``extra_body`` is configuration that goes into each request, for example
    ``{"cache_prompt": False}``. ``read_timeout`` (seconds) bounds each wait for bytes. ``max_tokens_field`` is
    ``max_completion_tokens`` for the models of OpenAI's that refuse the older name.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: Callable[[], str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        read_timeout: float = 60.0,
        max_tokens_field: str = "max_tokens",
    ) -> None:
        scheme, _, rest = base_url.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        self._transport = Transport(f"{scheme}://{host}", timeout=read_timeout)
        self._base = f"{slash}{path}"
        self._api_key = api_key
        self._extra_body = dict(extra_body or {})
        self._read_timeout = read_timeout
        self._max_tokens_field = max_tokens_field

    def open(self, call: Call, *, timeout: float) -> Stream:
        """Send the call; return once the upstream answered 200 with a stream of events."""
        deadline = time.monotonic() + timeout
        body = json.dumps(self._body(call), separators=(",", ":")).encode()
        response = self._send("/chat/completions", body, "text/event-stream", timeout)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.close()
            raise ProviderUnavailable(retryable=False)
        return AcceptedStream(_events(response, deadline, self._read_timeout), response, call)

    def embed(self, call: EmbedCall, *, timeout: float) -> Stream:
        """Send the inputs and read the answer whole."""
        deadline = time.monotonic() + timeout
        response = self._send("/embeddings", openai_body(call), "application/json", timeout)
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

    def _send(self, target: str, body: bytes, accept: str, timeout: float) -> Response:
        """The response, once its status is 200. Raises ProviderUnavailable or ProviderRejected."""
        headers = {
            "host": self._transport.host,
            "content-type": "application/json",
            "accept": accept,
            "cache-control": "no-store",
            "user-agent": "chatapi",
        }
        if self._api_key is not None:
            headers["authorization"] = f"Bearer {self._api_key()}"
        response: Response | None = None
        refusal: bytes = b""
        try:
            wait = min(timeout, self._read_timeout)
            response = self._transport.send("POST", self._base + target, headers, body, timeout=wait)
            if response.status != 200:
                refusal = response.read()
        except TransportError:
            response = None
        if response is None:
            raise ProviderUnavailable
        if response.status != 200:
            raise _refused(response.status, refusal)
        return response

    def _body(self, call: Call) -> dict[str, Any]:
        optional = {
            "temperature": call.temperature,
            "top_p": call.top_p,
            "stop": list(call.stop) or None,
            "tools": call.tools,
            "tool_choice": call.tool_choice,
            "response_format": call.response_format,
            "seed": call.seed,
            "user": call.user,
        }
        return {
            **call.extra,
            **{name: value for name, value in optional.items() if value is not None},
            self._max_tokens_field: call.max_tokens,
            **self._extra_body,
            "model": call.model,
            "messages": call.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "store": False,
        }


def _refused(status: int, body: bytes) -> ProviderRejected | ProviderUnavailable:
    if status in (400, 413, 422):
        return ProviderRejected(Rejection.CONTEXT_LENGTH if _is_context_length(body) else Rejection.BAD_REQUEST)
    return ProviderUnavailable(retryable=status in (408, 409, 429) or status >= 500)


def _is_context_length(body: bytes) -> bool:
    """By the code where there is one (OpenAI, llama.cpp), else by the words that others (vLLM) use for it."""
    try:
        error = json.loads(body)["error"]
        known = error.get("code") in _CONTEXT_CODES or error.get("type") in _CONTEXT_CODES
        return known or any(words in str(error.get("message")) for words in ("context length", "context size"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _events(response: Response, deadline: float, read_timeout: float) -> Iterator[Event]:
    decoder = SseDecoder()
    translator = _Translator()
    try:
        while True:
            yield from idle(response, deadline, read_timeout)
            chunk = response.read1(timeout=remaining(deadline, read_timeout))
            if not chunk:
                break
            for data in decoder.feed(chunk):
                if data == b"[DONE]":
                    return
                yield from translator.events(json.loads(data))
    except (TransportError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        broken = True
    else:
        broken = False  # the end without [DONE]: whether it is one, the stream decides by its Finish
    if broken:
        raise ProviderBroken  # outside the handler: the cause may quote content


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

    def events(self, chunk: dict[str, Any]) -> Iterator[Event]:
        if chunk.get("error"):
            raise ValueError("an error event")
        if not self._served:
            self._served = True
            fingerprint, tier = chunk.get("system_fingerprint"), chunk.get("service_tier")
            if fingerprint or tier:
                yield Served(_name(fingerprint), tier if tier in _TIERS else None)
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            thought = delta.get("reasoning_content") or delta.get("reasoning")  # DeepSeek's name, and vLLM's newer one
            if thought:
                yield Reasoning(thought)
            text = delta.get("content")
            if text:
                told = choice.get("logprobs")
                yield Text(text, _logprobs(told)) if told else Text(text)
            if delta.get("refusal"):
                yield Refusal(delta["refusal"])
            for tool in delta.get("tool_calls") or ():
                yield from self._tool(tool)
            reason = choice.get("finish_reason")
            if reason:
                yield Finish(_FINISH.get(reason, "stop"))
        usage = chunk.get("usage")
        if usage:
            given, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
            yield Usage(
                int(usage["prompt_tokens"]),
                int(usage["completion_tokens"]),
                int(given.get("cached_tokens") or 0),
                reasoning_tokens=int(made.get("reasoning_tokens") or 0),
                cache_written_tokens=int(given.get("cache_write_tokens") or 0),
            )

    def _tool(self, tool: dict[str, Any]) -> Iterator[Event]:
        function = tool.get("function") or {}
        key = self._tool_key = tool.get("index", tool.get("id", self._tool_key))  # some servers leave the index out
        if key not in self._tools:
            self._tools[key] = len(self._tools)
            yield ToolStart(self._tools[key], tool.get("id") or f"call_{os.urandom(12).hex()}", function["name"])
        if function.get("arguments"):
            yield ToolArguments(self._tools[key], function["arguments"])
