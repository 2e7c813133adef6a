"""The ending of an adapter's stream, made what the port promises, whatever the upstream left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from chat.providers.base import (
    Call,
    CallMissing,
    Event,
    Finish,
    ProviderBroken,
    Reasoning,
    Refusal,
    Text,
    ToolArguments,
    ToolStart,
    Usage,
    demanded,
)

_PIECES = (Text, Refusal, Reasoning, ToolArguments)


class Hangup(Protocol):
    """What a stream reads from: closed when nobody listens, finished when all was said."""

    def close(self) -> None:
        """Hang up."""

    def finish(self) -> None:
        """Keep the connection if it can be used again."""


class AcceptedStream:
    """Adapters' :class:`Stream`: makes the ending of ``events`` what the port promises, whatever the upstream left out.

    ``events`` may bring Finish and Usage several times, in any order, or no Usage. Without any Finish it is broken; a
    failure after it takes nothing from the answer, so it is not reported. An answer that ended by itself without the
    call that was demanded is broken too, once its Usage is told: not every server keeps a `tool_choice`.
    """

    def __init__(self, events: Iterator[Event], upstream: Hangup, call: Call) -> None:
        self._events = events
        self._upstream = upstream
        self._call = call

    def __iter__(self) -> Iterator[Event]:
        """Yield the events as they arrive, once. Raises :class:`ProviderBroken`, :class:`CallMissing`."""
        finish: Finish | None = None
        usage: Usage | None = None
        pieces = 0
        called = not demanded(self._call.tool_choice)
        try:
            try:
                for event in self._events:
                    if type(event) is Text:  # nearly all of them: no need to ask what else it may be
                        pieces += 1
                        yield event
                    elif isinstance(event, Finish):
                        finish = event
                    elif isinstance(event, Usage):
                        usage = event
                    else:
                        pieces += isinstance(event, _PIECES)
                        called = called or isinstance(event, ToolStart | Refusal)
                        yield event
            except ProviderBroken:
                if finish is None:
                    raise
            if finish is None:
                raise ProviderBroken
            yield finish
            yield usage or Usage(estimate_prompt_tokens(self._call.messages), pieces)
            self._upstream.finish()
            if not called and finish.reason in ("stop", "tool_calls"):
                raise CallMissing
        finally:
            self._upstream.close()

    def close(self) -> None:
        """Stop the upstream if it still runs."""
        self._upstream.close()


def estimate_prompt_tokens(messages: Iterable[dict[str, Any]]) -> int:
    """One token for each four characters of text in ``messages``, at least one."""
    return max(1, sum(map(_characters, messages)) // 4)


def _characters(message: dict[str, Any]) -> int:
    content = message.get("content") or ""
    parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    calls = [call.get("function", {}).get("arguments", "") for call in message.get("tool_calls") or ()]
    return sum(len(text) for text in (*parts, *calls) if isinstance(text, str))
