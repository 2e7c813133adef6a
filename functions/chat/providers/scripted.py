"""A provider that plays what it is told to: the shipped fake of the port, for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from chat.providers.accepted import estimate_prompt_tokens
from chat.providers.base import (
    Call,
    EmbedCall,
    Event,
    Finish,
    FinishReason,
    ProviderError,
    ProviderUnavailable,
    Stream,
    Text,
    Usage,
)

Step: TypeAlias = Event | ProviderError | Callable[[], object]
"""An event to deliver, an error to raise, or something to call (``gate.wait``) before going on."""


class ScriptedProvider:
    """Answers each call with the next script of its queue; unavailable when there is none left.

    A script is an error to raise instead of accepting, or the steps of a stream. ``calls`` and ``streams`` remember
    what was asked and how far each stream got.

    >>> provider = ScriptedProvider(answer("Hello", " world"), ProviderUnavailable())
    """

    def __init__(self, *scripts: ProviderError | Sequence[Step]) -> None:
        self._scripts = deque(scripts)
        self.calls: list[Call] = []
        self.embedded: list[EmbedCall] = []
        self.streams: list[ScriptedStream] = []

    def add(self, *scripts: ProviderError | Sequence[Step]) -> None:
        """Queue further scripts."""
        self._scripts.extend(scripts)

    def open(self, call: Call, *, timeout: float) -> Stream:
        """Play the next script; time does not pass here."""
        self.calls.append(call)
        return self._play()

    def embed(self, call: EmbedCall, *, timeout: float) -> Stream:
        """Play the next script."""
        self.embedded.append(call)
        return self._play()

    def _play(self) -> Stream:
        script = self._scripts.popleft() if self._scripts else ProviderUnavailable()
        if isinstance(script, ProviderError):
            raise script
        stream = ScriptedStream(script)
        self.streams.append(stream)
        return stream


class ScriptedStream:
    """A scripted stream. ``delivered`` counts its events, ``closed`` says whether somebody stopped it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self.delivered = 0
        self.closed = False

    def __iter__(self) -> Iterator[Event]:
        """Play the steps until their end or :meth:`close`."""
        for step in self._steps:
            if self.closed:
                return
            if isinstance(step, ProviderError):
                raise step
            if callable(step):
                step()
            else:
                self.delivered += 1
                yield step

    def close(self) -> None:
        """Deliver nothing more."""
        self.closed = True


def answer(*pieces: str, reason: FinishReason = "stop", prompt_tokens: int | None = None) -> tuple[Step, ...]:
    """The script of a whole answer: ``pieces`` of text, a Finish and a Usage of one token a piece."""
    prompt = estimate_prompt_tokens(()) if prompt_tokens is None else prompt_tokens
    return (*map(Text, pieces), Finish(reason), Usage(prompt, len(pieces)))
