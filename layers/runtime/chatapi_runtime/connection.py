"""One kept HTTP/1.1 connection to the Runtime API (RFC 9112): as much of it as that local service needs.

``http.client`` would load the e-mail package for its headers, which is a twentieth of the chat function's cold start.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from io import BufferedReader

_LONGEST_LINE = 64 * 1024
_MOST_LINES = 100


class NotHttp(Exception):
    """What came is no whole answer."""

    def __init__(self) -> None:
        super().__init__("the Runtime API's answer is not whole")


class Connection:
    """To ``address`` (``host:port``); opened with the first request, and anew after :meth:`close`."""

    def __init__(self, address: str) -> None:
        self._host = address
        name, _, port = address.rpartition(":")
        self._place = (name, int(port)) if name else (address, 80)
        self._socket: socket.socket | None = None
        self._reader: BufferedReader | None = None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> None:
        """Send the head of a request, and its ``body`` where that is known. OSError."""
        if self._socket is None:
            # No timeout: `next` is a long poll during which Lambda may freeze the process for hours.
            self._socket = socket.create_connection(self._place)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = self._socket.makefile("rb")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "\r\n"]).encode("latin-1") + (body or b""))

    def send(self, data: bytes) -> None:
        """More of the body, framed by the caller. OSError."""
        if self._socket is None:
            raise NotHttp
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of the answer. OSError, NotHttp."""
        version, _, rest = self._line().partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise NotHttp
        headers = self._headers()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(_size(headers["content-length"], 10))
        else:
            raise NotHttp
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(rest[:3]), headers, body

    def close(self) -> None:
        """Hang up."""
        for part in (self._reader, self._socket):
            if part is not None:
                part.close()
        self._socket = self._reader = None

    def _line(self) -> str:
        line = self._from().readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise NotHttp
        return line.decode("latin-1").rstrip("\r\n")

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_MOST_LINES):
            line = self._line()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise NotHttp

    def _chunks(self) -> bytes:
        pieces = []
        while size := _size(self._line().partition(";")[0].strip(), 16):
            pieces.append(self._exactly(size))
            self._line()
        self._headers()  # the trailers
        return b"".join(pieces)

    def _exactly(self, size: int) -> bytes:
        data = self._from().read(size)
        if len(data) != size:
            raise NotHttp
        return data

    def _from(self) -> BufferedReader:
        if self._reader is None:
            raise NotHttp
        return self._reader


def _size(text: str, base: int) -> int:
    if not text.isalnum() or not text.isascii() or len(text) > 15:
        raise NotHttp
    try:
        return int(text, base)
    except ValueError:
        raise NotHttp from None
