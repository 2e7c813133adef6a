"""One generation, from the provider's acceptance to the last line of the account.

provider accepts ─▶ events … ─▶ store (if asked) ─▶ settle ─▶ disclose ─▶ the caller sees the end
                      └─ failure, deadline, broken connection: settle and disclose what was used
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chat.accounting import Account
from chat.providers.base import (
    Choice,
    Event,
    Finish,
    FinishReason,
    Reasoning,
    Refusal,
    Served,
    Stream,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
)

_MOST_TOKENS = 10**9
"""More than any model takes or gives: the bound on what an upstream may say was used."""


@dataclass
class Transcript:
    """What was generated so far of one answer. `pieces` counts deltas: about a token each, the estimate where no usage
    came. Reasoning is counted and not kept; where `remembers` is False, only which tools were called is."""

    remembers: bool = True
    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    tools: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish: FinishReason = "stop"
    usage: Usage | None = None
    pieces: int = 0

    def add(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case Finish(reason):
                self.finish = reason
            case Usage():
                self.usage = event
            case Text(text, logprobs):
                self._more(self.text, text)
                if self.remembers:
                    self.logprobs.extend(logprobs)
            case Refusal(text):
                self._more(self.refusal, text)
            case Reasoning():
                self.pieces += 1
            case ToolStart(index, call_id, name, custom=True):
                self.pieces += 1
                self.tools[index] = {"id": call_id, "type": "custom", "custom": {"name": name, "input": ""}}
            case ToolStart(index, call_id, name):
                self.pieces += 1
                self.tools[index] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
            case ToolArguments(index, fragment):
                self.pieces += 1
                call = self.tools[index]  # KeyError for a call that has not begun
                if self.remembers:
                    call[call["type"]]["input" if call["type"] == "custom" else "arguments"] += fragment

    def _more(self, of: list[str], text: str) -> None:
        self.pieces += 1
        if self.remembers:
            of.append(text)

    def message(self) -> dict[str, Any]:
        """The assistant's message in OpenAI's shape."""
        refusal = "".join(self.refusal) or None
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self.text),
            "refusal": refusal,
            "annotations": [],
        }
        if self.tools or refusal:
            message["content"] = message["content"] or None
        if self.tools:
            message["tool_calls"] = [self.tools[index] for index in sorted(self.tools)]
        return message

    def choice(self, index: int) -> dict[str, Any]:
        """The choice in OpenAI's shape."""
        logprobs = {"content": self.logprobs, "refusal": None} if self.logprobs else None
        return {"index": index, "message": self.message(), "logprobs": logprobs, "finish_reason": self.finish}


class Generation:
    """Runs a provider's stream once and closes the account once, whatever happens.

    `transcripts` has one entry for each answer that has begun, `transcript` is the first one; `whole` once the provider
    has said all.
    """

    def __init__(
        self,
        stream: Stream,
        account: Account,
        prompt_estimate: int,
        *,
        keep: Callable[[Transcript], None],
        disclose: Callable[[int, int, int, int], None],
    ) -> None:
        self._stream = stream
        self._account = account
        self._prompt_estimate = prompt_estimate
        self._keep = keep
        self._disclose = disclose
        self._closed = False
        self.whole = False
        self.transcript = Transcript()
        self.transcripts = [self.transcript]
        self.served = Served()

    def forget(self) -> None:
        """Keep no transcript: what comes goes on to the caller, and nobody will ask for it again. Before any event."""
        self.transcript.remembers = False

    def events(self) -> Iterator[Event]:
        """The content events. When they end, the completion is stored, settled and disclosed; then comes the Finish.

        Of several answers each but the last has its Finish before the next one's Choice.
        """
        current = self.transcript
        try:
            for event in self._stream:
                if type(event) is Text and not event.logprobs:  # nearly all of them
                    current.pieces += 1
                    if current.remembers:
                        current.text.append(event.text)
                    yield event
                    continue
                if isinstance(event, Choice):
                    yield Finish(current.finish)
                    current = Transcript(self.transcript.remembers)
                    self.transcripts.append(current)
                elif isinstance(event, Served):
                    self.served = event
                else:
                    current.add(event)
                if not isinstance(event, (Finish, Usage)):
                    yield event
            self.whole = True
            self._keep(self.transcript)
        finally:
            self.close()
        yield Finish(current.finish)

    def tokens(self) -> tuple[int, int]:
        """(prompt, completion) tokens: the provider's figures, or an estimate where it ended without any."""
        prompt = completion = 0
        for transcript in self.transcripts:
            usage = transcript.usage
            # An upstream's figures move our counters: none may give tokens back, or be too large to be written.
            prompt += _bounded(usage.prompt_tokens if usage else self._prompt_estimate)
            completion += _bounded(usage.completion_tokens if usage else transcript.pieces)
        return prompt, completion

    def cached(self) -> int:
        """How many of the prompt's tokens the provider had in its cache."""
        told = [transcript.usage for transcript in self.transcripts if transcript.usage]
        return sum(min(_bounded(usage.cached_tokens), _bounded(usage.prompt_tokens)) for usage in told)

    def written(self) -> int:
        """How many of them it has put there."""
        told = [transcript.usage for transcript in self.transcripts if transcript.usage]
        return sum(_bounded(usage.cache_written_tokens) for usage in told)

    def usage(self) -> dict[str, Any]:
        """`usage` in OpenAI's shape."""
        prompt, completion = self.tokens()
        told = [transcript.usage for transcript in self.transcripts if transcript.usage]
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": self.cached(),
                "cache_write_tokens": self.written(),
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": sum(usage.reasoning_tokens for usage in told),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def close(self) -> None:
        """Stop the upstream, settle, disclose. Idempotent: also called for a generation that never started."""
        if self._closed:
            return
        self._closed = True
        try:
            self._stream.close()
        finally:
            (prompt, completion), cached, written = self.tokens(), self.cached(), self.written()
            self._account.settle(prompt, completion, cached, written)
            self._disclose(prompt, cached, completion, written)


def _bounded(tokens: int) -> int:
    return min(max(tokens, 0), _MOST_TOKENS)


class Body:
    """The body of a streamed answer: closing it closes the generation, also when nothing was read from it yet (a plain
    generator's `finally` would not run then)."""

    def __init__(self, chunks: Iterator[bytes], generation: Generation) -> None:
        self._chunks = chunks
        self._generation = generation

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """See Generation.close."""
        try:
            getattr(self._chunks, "close", lambda: None)()
        finally:
            self._generation.close()
