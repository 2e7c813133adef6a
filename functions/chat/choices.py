"""Several answers to one request (`n`): calls one after the other, as one stream.

Most servers have no `n` of their own, and Converse has none at all; one call for each answer works everywhere, and each
is settled by its own figures. The prompt is processed, and counted, once for each answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from chat.providers.base import Choice, Event, ProviderBroken, ProviderError, Stream


class Choices:
    """The stream of `count` answers. `first` is accepted already; `another` opens each further one."""

    def __init__(self, first: Stream, another: Callable[[], Stream], count: int) -> None:
        self._stream = first
        self._another = another
        self._count = count
        self._closed = False

    def __iter__(self) -> Iterator[Event]:
        """The events of all answers, by index. Raises ProviderBroken, also where a further call is not accepted."""
        yield from self._stream
        for index in range(1, self._count):
            if self._closed:
                return
            stream: Stream | None = None
            with contextlib.suppress(ProviderError):
                stream = self._another()
            if stream is None:
                raise ProviderBroken
            self._stream = stream
            yield Choice(index)
            yield from stream

    def close(self) -> None:
        """Stop the answer that runs; no further one begins."""
        self._closed = True
        self._stream.close()
