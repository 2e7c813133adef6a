"""Decoding of server-sent events (WHATWG HTML, section 9.2.6), as far as chat completions use them."""

from __future__ import annotations

LONGEST_EVENT = 1 << 20


class SseDecoder:
    """Feed it bytes as they arrive; get the ``data`` of each event that they complete.

    Lines end in LF or CRLF, several data lines of one event are joined by LF, comments and other fields are dropped, an
    event that the stream breaks off in is never delivered. Raises ValueError when an event exceeds 1 MiB.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that ``chunk`` completes, in order."""
        if not self._rest and not self._data and chunk.startswith(b"data: ") and chunk.endswith(b"\n\n"):
            # Whole events of one line each, as nearly all chunks are made of: they need not be looked at by line.
            events = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(events) and b"\r" not in chunk:
                return events
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                self._data.append(value.removesuffix(b"\r"))
                self._size += len(value)
            elif line in (b"", b"\r") and self._data:
                events.append(b"\n".join(self._data))
                self._data, self._size = [], 0
        if self._size + len(self._rest) > LONGEST_EVENT:
            raise ValueError("an event is too long")
        return events
