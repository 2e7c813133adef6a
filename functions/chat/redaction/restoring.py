"""A provider's stream with the values put back, for the caller.

Each text of an answer (what is said, declined, thought, and the arguments of each call) is read on its own, since
servers interleave them. What a text holds back comes out before anything that ends it: a call, another answer, the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from chat.providers.base import (
    Choice,
    Event,
    Finish,
    ProviderError,
    Reasoning,
    Refusal,
    Stream,
    Text,
    ToolArguments,
    ToolStart,
)
from chat.redaction.placeholders import Placeholders, Reader
from chatapi.errors import ApiError, RedactionFailed
from chatapi.logs import log_error


class Restoring:
    """The stream. `quoted`: the answer's text is JSON, as its arguments always are, and values are escaped in it."""

    def __init__(self, stream: Stream, placeholders: Placeholders, *, quoted: bool) -> None:
        self._stream = stream
        self._placeholders = placeholders
        self._quoted = quoted
        self._texts: dict[type[Text | Refusal | Reasoning], Reader] = {}
        self._calls: dict[int, Reader] = {}
        self._custom: set[int] = set()

    def __iter__(self) -> Iterator[Event]:
        """The events, their order kept. Raises as the stream does, and RedactionFailed."""
        try:
            yield from self._events()
        except (ProviderError, ApiError):
            raise
        except Exception as error:  # noqa: BLE001 - no text or cause of it may travel along
            log_error("redaction_failed", error, function="chat")
        else:
            return
        raise RedactionFailed("The answer could not be restored. What was used is settled.")

    def _events(self) -> Iterator[Event]:
        for event in self._stream:
            match event:
                case Text(text) | Refusal(text) | Reasoning(text):
                    kind = type(event)
                    yield from self._said(kind)
                    quoted = self._quoted and kind is Text
                    reader = self._texts.setdefault(kind, self._placeholders.reader(quoted=quoted))
                    if told := reader.feed(text):
                        yield kind(told)
                case ToolArguments(index, fragment):
                    quoted = index not in self._custom  # a custom call's input is a text, all others are JSON
                    reader = self._calls.setdefault(index, self._placeholders.reader(quoted=quoted))
                    if told := reader.feed(fragment):
                        yield ToolArguments(index, told)
                case ToolStart() | Choice() | Finish():
                    yield from self._said(None)
                    if not isinstance(event, ToolStart):
                        yield from self._ended()
                        self._custom.clear()
                    elif event.custom:
                        self._custom.add(event.index)
                    yield event
                case _:
                    yield event

    def _said(self, going_on: type[Text | Refusal | Reasoning] | None) -> Iterator[Event]:
        """The end of the texts other than the one that goes on."""
        for kind in [kind for kind in self._texts if kind is not going_on]:
            if told := self._texts.pop(kind).end():
                yield kind(told)

    def _ended(self) -> Iterator[Event]:
        for index in sorted(self._calls):
            if told := self._calls.pop(index).end():
                yield ToolArguments(index, told)

    def close(self) -> None:
        """Stop the upstream."""
        self._stream.close()
