"""One HTTP/1.1 response at a time from a socket (RFC 9112): as much of it as signed calls and token streams need.

``http.client`` parses headers with the e-mail package, which costs more than all else of a small exchange; and a reader
of it that has timed out once can never be read again, so it cannot say "nothing yet". Here what is malformed is
refused, not repaired: what two parsers read differently is how messages are smuggled (RFC 9112, section 11.2).
"""

from __future__ import annotations

import re
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

_LONGEST_HEAD = 64 * 1024
_LONGEST_LINE = 4096
_RECEIVE = 64 * 1024
_PLAIN_SIZE = re.compile(rb"([0-9a-fA-F]{1,12})\r\n").match
# Section 7.1: white space only before an extension. `strip` and `int` would take a line feed, `_`, `+` and `0x` too.
_SIZE = re.compile(rb"([0-9a-fA-F]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
# RFC 9110, sections 5.1 and 5.5: a bare carriage return or line feed is the end of a line to some parsers.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_WITHOUT_BODY = (204, 304)


class Malformed(Exception):
    """The peer does not speak HTTP/1.1, or the response was cut short."""

    def __init__(self) -> None:
        super().__init__("not a whole HTTP/1.1 response")


class Reading:
    """A response: ``status`` and ``headers`` (names in lower case, repeated ones joined by a comma) are there at once,
    the body comes by :meth:`more`. OSError from the socket passes through."""

    __slots__ = ("_buffer", "_chunked", "_left", "_sock", "_state", "_version", "ended", "headers", "keeps", "status")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        head = self._head()
        while 100 <= self.status < 200:  # an interim response: the one that counts follows
            head = self._head()
        self.headers = _headers(head)
        length = self.headers.get("content-length")
        coding = self.headers.get("transfer-encoding")
        connection = self.headers.get("connection", "").lower()
        self._chunked = coding is not None
        self._state = "size"
        self._left = -1  # bytes of the body, or of this chunk, that are still to come; -1: up to the end of the stream
        if coding is not None and (coding.lower() != "chunked" or length is not None):
            raise Malformed
        if length is not None:
            if not (length.isascii() and length.isdigit() and len(length) < 16):
                raise Malformed
            self._left = int(length)
        bounded = self._chunked or length is not None or self.status in _WITHOUT_BODY
        self.keeps = bounded and self._version == b"HTTP/1.1" and "close" not in connection
        self.ended = self._left == 0 or self.status in _WITHOUT_BODY
        if self._chunked:
            self._left = 0

    def more(self) -> bytes:
        """What has arrived of the body, waiting only when nothing has; ``b""`` at its end. Raises Malformed."""
        while not self.ended:
            data = self._take()
            if data or self.ended:
                return data
            received = self._sock.recv(_RECEIVE)
            if not received:
                if self._chunked or self._left > 0:
                    raise Malformed
                self.ended = True
            self._buffer += received
        return b""

    def wait(self, timeout: float) -> bool:
        """Whether :meth:`more` would have something to say within ``timeout`` seconds: data, the end or a failure."""
        if self._buffer or self.ended or getattr(self._sock, "pending", int)():
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def _head(self) -> bytes:
        """The header lines. Sets the status."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise Malformed
            received = self._sock.recv(_RECEIVE)
            if not received:
                if not self._buffer:
                    raise ConnectionResetError  # as from a peer that closed an idle connection
                raise Malformed
            self._buffer += received
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        line, _, lines = head.partition(b"\r\n")
        status = line[9:12]
        if not line.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or not status.isdigit() or line[12:13] not in (b"", b" "):
            raise Malformed
        if _CONTROL(line):
            raise Malformed
        self._version, self.status = line[:8], int(status)
        return lines

    def _take(self) -> bytes:
        """What the buffer holds of the body. Leaves in it what cannot be told yet."""
        if self._chunked:
            return self._take_chunks()
        data, self._buffer = self._buffer, b""
        if self._left >= 0:
            if len(data) > self._left:
                raise Malformed  # nobody asked for more: an answer to nothing
            self._left -= len(data)
            self.ended = not self._left
        return data

    def _take_chunks(self) -> bytes:
        buffer, at = self._buffer, 0
        pieces: list[bytes] = []
        while not self.ended:
            if self._state == "size":
                at = _plain_chunks(buffer, at, pieces)
            if self._state == "data":
                piece = buffer[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = "end"
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if len(buffer) - at > _LONGEST_LINE:
                    raise Malformed
                break
            line, at = buffer[at:end], end + 2
            if self._state == "size":
                size = _SIZE(line)
                if size is None:
                    raise Malformed
                self._left = int(size[1], 16)
                self._state = "data" if self._left else "trailers"
            elif self._state == "end":
                if line:
                    raise Malformed
                self._state = "size"
            else:
                _headers(line)  # trailers are dropped
                self.ended = not line
        self._buffer = buffer[at:]
        if self.ended and self._buffer:
            raise Malformed
        return b"".join(pieces)


def _plain_chunks(buffer: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the chunks that are there from size to end with no extension, as nearly all are; where the next one is."""
    while plain := _PLAIN_SIZE(buffer, at):
        start = plain.end()
        end = start + int(plain[1], 16)
        if end == start or buffer[end : end + 2] != b"\r\n":
            break  # the last one, or one that is incomplete or malformed
        pieces.append(buffer[start:end])
        at = end + 2
    return at


def _headers(lines: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    if not lines:
        return headers
    if _CONTROL(lines.replace(b"\r\n", b"")):
        raise Malformed
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or not _NAME(name):
            raise Malformed
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
