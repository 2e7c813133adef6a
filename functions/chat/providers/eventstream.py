"""Decoding of ``application/vnd.amazon.eventstream`` (Amazon Transcribe Developer Guide, "Event stream encoding").

::

    total length (4)  headers length (4)  CRC of the two (4)  headers  payload  CRC of all before it (4)
"""

from __future__ import annotations

import struct
from binascii import crc32
from dataclasses import dataclass, field
from typing import Any

_PRELUDE = struct.Struct("!III")
_SMALLEST = 16
_LARGEST_HEADERS = 128 * 1024
_LARGEST = 24 * 1024 * 1024 + _LARGEST_HEADERS
# Header types: 0 and 1 are true and false without a value, 6 and 7 bytes and text with a two-byte length before them.
_FIXED = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q", 9: "!16s"}


class EventStreamError(ValueError):
    """The bytes are not an event stream, or were damaged on the way."""

    def __init__(self) -> None:
        super().__init__("not an event stream")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its headers (``:event-type``, ``:message-type``, …) and its payload."""

    headers: dict[str, Any]
    payload: bytes = field(repr=False)


class EventStreamDecoder:
    """Feed it bytes as they arrive; get the messages that they complete.

    Raises :class:`EventStreamError`, at the next feed where whole messages came before what is damaged.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._damaged = False

    @property
    def empty(self) -> bool:
        """Whether the stream may end here."""
        return not self._buffer and not self._damaged

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that ``chunk`` completes, in order."""
        messages: list[Message] = []
        if not self._damaged:
            try:
                self._feed(chunk, messages)
            except EventStreamError:
                self._damaged = True
        if self._damaged and not messages:
            raise EventStreamError
        return messages

    def _feed(self, chunk: bytes, messages: list[Message]) -> None:
        buffer, start = self._buffer + chunk, 0
        while len(buffer) - start >= _PRELUDE.size:
            total, headers_length, prelude_crc = _PRELUDE.unpack_from(buffer, start)
            if crc32(buffer[start : start + 8]) != prelude_crc or not _SMALLEST + headers_length <= total <= _LARGEST:
                raise EventStreamError
            if headers_length > _LARGEST_HEADERS:
                raise EventStreamError
            end = start + total
            if len(buffer) < end:
                break
            if crc32(buffer[start : end - 4]) != int.from_bytes(buffer[end - 4 : end], "big"):
                raise EventStreamError
            headers_end = start + _PRELUDE.size + headers_length
            headers = _headers(buffer[start + _PRELUDE.size : headers_end])
            messages.append(Message(headers, buffer[headers_end : end - 4]))
            start = end
        self._buffer = buffer[start:]


def _headers(data: bytes) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode()
            kind, at = data[name_end], name_end + 1
            value: Any
            if kind in (0, 1):
                value = kind == 0
            elif kind in (6, 7):
                (length,) = struct.unpack_from("!H", data, at)
                at += 2 + length
                if at > len(data):
                    raise EventStreamError
                value = data[at - length : at] if kind == 6 else data[at - length : at].decode()
            else:
                (value,) = struct.unpack_from(_FIXED[kind], data, at)
                at += struct.calcsize(_FIXED[kind])
            if name in headers:
                raise EventStreamError
            headers[name] = value
    except (IndexError, KeyError, UnicodeDecodeError, struct.error):
        pass
    else:
        return headers
    raise EventStreamError
