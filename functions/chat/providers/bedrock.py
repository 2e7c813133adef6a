"""Amazon Bedrock over ConverseStream (Amazon Bedrock API reference, "ConverseStream")."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

from chat.providers.accepted import AcceptedStream
from chat.providers.base import (
    Call,
    EmbedCall,
    Event,
    Finish,
    FinishReason,
    Idle,
    ProviderBroken,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Reasoning,
    Rejection,
    Signed,
    Stream,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)
from chat.providers.converse import to_converse
from chat.providers.embedding import titan_answers, titan_body, titan_partly
from chat.providers.eventstream import EventStreamDecoder, EventStreamError, Message
from chat.providers.silence import idle, remaining
from chatapi.aws import AwsClient, AwsUnavailable
from chatapi.aws.errors import TransportError
from chatapi.aws.sigv4 import encode_segment
from chatapi.aws.transport import Response

_FINISH: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_TOO_LONG = ("too long", "context length", "context window", "maximum tokens", "too many input tokens")
_OPERATOR = ("on-demand throughput", "model identifier is invalid", "guardrail identifier")
"""Refusals of Bedrock's that read like the caller's and are about what the operator configured."""
_HEADERS = {"content-type": "application/json", "accept": "application/vnd.amazon.eventstream"}


class BedrockProvider:
    """Bedrock through ``client``, an :class:`AwsClient` of ``bedrock-runtime``. No user id is sent: Bedrock needs none.

    ``read_timeout`` (seconds) bounds each wait for bytes.
    """

    def __init__(self, client: AwsClient, *, read_timeout: float = 60.0) -> None:
        self._client = client
        self._read_timeout = read_timeout

    def open(self, call: Call, *, timeout: float) -> Stream:
        """Send the call; return once Bedrock answered 200 and its first event is no exception."""
        accepted = self._ask(call, timeout)
        if isinstance(accepted, ProviderError):
            raise accepted  # outside any handler: a cause may quote content
        return accepted

    def _ask(self, call: Call, timeout: float) -> AcceptedStream | ProviderError:
        deadline = time.monotonic() + timeout
        wait = min(timeout, self._read_timeout)
        body = json.dumps(to_converse(call), separators=(",", ":")).encode()
        target = f"/model/{encode_segment(call.model)}/converse-stream"
        failure: ProviderError | None
        try:
            status, headers, response = self._client.open("POST", target, body, _HEADERS, timeout=wait)
        except AwsUnavailable:
            return ProviderUnavailable()
        try:
            if status == 200:
                messages = _messages(response, deadline, self._read_timeout)
                first = next(message for message in messages if isinstance(message, Message))
                failure = _first_failure(first)
                if failure is None:
                    return AcceptedStream(_events(first, messages), response, call)
            else:
                failure = _refused(status, headers.get("x-amzn-errortype", ""), response.read())
        except (TransportError, ProviderBroken, StopIteration):
            failure = ProviderUnavailable()
        response.close()
        return failure

    def embed(self, call: EmbedCall, *, timeout: float) -> Stream:
        """InvokeModel of Amazon Titan Text Embeddings V2, for one text after the other: it takes no more at a time."""
        deadline = time.monotonic() + timeout
        answers: list[bytes] = []
        for text in call.inputs:
            assert isinstance(text, str)  # its models have no capability `token_input`
            answer = self._invoke(call.model, titan_body(text, call), deadline)
            if isinstance(answer, ProviderError):
                if answers:  # the texts before it were processed: that is to be settled
                    return titan_partly(answers, call, answer)
                raise answer
            answers.append(answer)
        return titan_answers(answers, call)

    def _invoke(self, model: str, body: bytes, deadline: float) -> bytes | ProviderError:
        target = f"/model/{encode_segment(model)}/invoke"
        wait = min(deadline - time.monotonic(), self._read_timeout)
        if wait <= 0:
            return ProviderUnavailable()
        headers = {"content-type": "application/json", "accept": "application/json"}
        try:
            status, told, response = self._client.open("POST", target, body, headers, timeout=wait)
            raw = response.read()
        except (AwsUnavailable, TransportError):
            return ProviderUnavailable()
        return raw if status == 200 else _refused(status, told.get("x-amzn-errortype", ""), raw)


def _messages(response: Response, deadline: float, read_timeout: float) -> Iterator[Message | Idle]:
    decoder = EventStreamDecoder()
    try:
        while True:
            yield from idle(response, deadline, read_timeout)
            chunk = response.read1(timeout=remaining(deadline, read_timeout))
            if not chunk:
                break
            yield from decoder.feed(chunk)
        broken = not decoder.empty
    except (TransportError, EventStreamError):
        broken = True
    if broken:
        response.close()
        raise ProviderBroken


def _events(first: Message, rest: Iterator[Message | Idle]) -> Iterator[Event]:
    translator = _Translator()
    try:
        yield from translator.events(first)
        for message in rest:
            if isinstance(message, Idle):
                yield message
            else:
                yield from translator.events(message)
        broken = False
    except (ValueError, TypeError, KeyError, AttributeError):
        broken = True
    if broken:
        raise ProviderBroken


class _Translator:
    """From Converse's events to the port's, for one stream."""

    def __init__(self) -> None:
        self._tools: dict[int, int] = {}  # content block to tool call: blocks of text count too, tool calls do not
        self._signature = ""
        self._redacted = b""

    def events(self, message: Message) -> Iterator[Event]:
        if message.headers.get(":message-type") != "event":
            raise ProviderBroken
        data: dict[str, Any] = json.loads(message.payload)
        match message.headers.get(":event-type"):
            case "contentBlockDelta":
                delta = data["delta"]
                if delta.get("text"):
                    yield Text(delta["text"])
                elif delta.get("reasoningContent"):
                    thought = delta["reasoningContent"]
                    if thought.get("text"):
                        yield Reasoning(thought["text"])
                    self._signature += thought.get("signature", "")
                    self._redacted += base64.b64decode(thought.get("redactedContent", ""))
                elif delta.get("toolUse", {}).get("input"):
                    yield ToolArguments(self._tools[data["contentBlockIndex"]], delta["toolUse"]["input"])
            case "contentBlockStart" if "toolUse" in data.get("start", {}):
                tool = data["start"]["toolUse"]
                index = self._tools[data["contentBlockIndex"]] = len(self._tools)
                yield ToolStart(index, tool["toolUseId"], tool["name"])
            case "contentBlockStop":
                yield from self._signed()
            case "messageStop":
                yield from self._signed()
                yield Finish(_FINISH.get(data["stopReason"], "stop"))
            case "metadata":
                yield _usage(data["usage"])

    def _signed(self) -> Iterator[Event]:
        """What was signed or encrypted of the block that ends; the signature of a thought may be all that is told."""
        if self._signature:
            yield Signed(self._signature)
        if self._redacted:
            yield Signed(base64.b64encode(self._redacted).decode(), redacted=True)
        self._signature, self._redacted = "", b""


def _usage(usage: dict[str, Any]) -> Usage:
    """Bedrock counts what came from or went into its prompt cache apart; OpenAI counts it in."""
    cached = int(usage.get("cacheReadInputTokens") or 0)
    written = int(usage.get("cacheWriteInputTokens") or 0)
    return Usage(
        int(usage["inputTokens"]) + cached + written, int(usage["outputTokens"]), cached, cache_written_tokens=written
    )


def _first_failure(first: Message) -> ProviderError | None:
    """Bedrock may answer 200 and then refuse in the first event: that is no acceptance."""
    if first.headers.get(":message-type") == "event":
        return None
    kind = str(first.headers.get(":exception-type") or "")
    return _refused(400 if kind == "validationException" else 500, kind, first.payload)


def _refused(status: int, kind: str, body: bytes) -> ProviderError:
    if status in (400, 413, 422) and not kind.lower().startswith(("servicequota", "throttling")):
        text = body.decode("utf-8", "replace").lower()
        if any(words in text for words in _OPERATOR):
            return ProviderMisconfigured()
        too_long = any(words in text for words in _TOO_LONG)
        return ProviderRejected(Rejection.CONTEXT_LENGTH if too_long else Rejection.BAD_REQUEST)
    return ProviderMisconfigured() if status in (401, 403, 404) else ProviderUnavailable()
