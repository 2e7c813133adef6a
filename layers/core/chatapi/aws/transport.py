"""Kept-alive HTTP/1.1 to one origin: the least that signed calls and token streams need."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import ssl

from chatapi.aws.errors import TransportError
from chatapi.aws.http1 import Malformed, Reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_LARGEST = 64 * 1024 * 1024
"""Of a body that is read whole: more than any service called here answers."""


class Transport:
    """Connections to ``endpoint`` (``scheme://host[:port]``), reused when the peer keeps them open.

    ``timeout`` (seconds) bounds the connect and each wait for bytes, not their sum. Clear text is accepted to this
    machine and ``clear_text_hosts`` only: ValueError for any other ``http`` origin. Threads may share a transport.
    """

    def __init__(
        self, endpoint: str, *, timeout: float, clear_text_hosts: tuple[str, ...] = (), resend: bool = True
    ) -> None:
        self._idle: list[socket.socket] = []
        scheme, _, self.host = endpoint.rstrip("/").partition("://")
        if scheme not in ("http", "https") or not self.host or "/" in self.host or "@" in self.host:
            raise ValueError("an endpoint is scheme://host[:port]")
        name = self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host
        if scheme == "http" and name not in (*_LOOPBACK, *clear_text_hosts):
            raise ValueError("clear text is for this machine only: the endpoint must be https")
        self._secure = scheme == "https"
        self._timeout = timeout
        self._resend = resend
        self._name = name.strip("[]")
        port = self.host[len(name) + 1 :]
        if port and not (port.isascii() and port.isdigit()):
            raise ValueError("an endpoint is scheme://host[:port]")
        self._port = int(port) if port else 443 if self._secure else 80

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, *, timeout: float | None = None
    ) -> Response:
        """Send one request and wait for the status and headers of its response. Raises :class:`TransportError`.

        A peer may close an idle connection at any moment, so a reused one that dies without a byte of answer is
        replaced once: an exchange is at least once, unless ``resend`` is off, when it is at most once.
        """
        timeout = self._timeout if timeout is None else timeout
        request = _head(method, target, headers, body) + body
        while self._idle:
            sock = self._idle.pop()
            if _is_stale(sock):
                sock.close()
                continue
            _set_timeout(sock, timeout)
            try:
                return self._exchange(sock, request)
            except _HUNG_UP as error:
                if self._resend:
                    break
                failure = _failure(error, sent=True)
            except (OSError, Malformed) as error:
                failure = _failure(error, sent=True)
            raise failure
        sent = False
        try:
            sock = self._connect(timeout)
            sent = True
            return self._exchange(sock, request)
        except (OSError, Malformed) as error:
            failure = _failure(error, sent=sent)
        raise failure  # outside the handler: the cause holds a request, and must not travel with the error

    def give_back(self, sock: socket.socket) -> None:
        """Keep a connection whose exchange is complete."""
        self._idle.append(sock)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    __del__ = close  # an abandoned client hangs up, without a ResourceWarning for each idle socket

    def _connect(self, timeout: float) -> socket.socket:
        sock = socket.create_connection((self._name, self._port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _tls().wrap_socket(sock, server_hostname=self._name) if self._secure else sock
        except BaseException:
            sock.close()
            raise

    def _exchange(self, sock: socket.socket, request: bytes) -> Response:
        try:
            sock.sendall(request)  # one write for head and body
            return Response(Reading(sock), sock, self)
        except BaseException:
            sock.close()
            raise


class Response:
    """A response whose body is still on the wire. Read it to the end or close it."""

    __slots__ = ("_raw", "_sock", "_transport", "headers", "status")

    def __init__(self, raw: Reading, sock: socket.socket, transport: Transport) -> None:
        self.status: int = raw.status
        self.headers: dict[str, str] = raw.headers
        self._raw = raw
        self._sock: socket.socket | None = sock
        self._transport = transport  # kept alive by what it lent out

    def read(self) -> bytes:
        """The whole body. Raises :class:`TransportError` when it is cut short."""
        pieces, size = [], 0
        while data := self.read1():
            pieces.append(data)
            size += len(data)
            if size > _LARGEST:
                self.close()
                raise TransportError(sent=True, timed_out=False)
        return b"".join(pieces)

    def read1(self, *, timeout: float | None = None) -> bytes:
        """What has arrived, waiting (``timeout`` seconds at most) only when nothing has; ``b""`` at the end.

        Raises :class:`TransportError` when the body is cut short or nothing came in time.
        """
        sock = self._sock
        if sock is None:
            if self._raw.ended:
                return b""
            raise TransportError(sent=True, timed_out=False)
        try:
            if timeout is not None:
                _set_timeout(sock, timeout)
            data = self._raw.more()
        except (OSError, Malformed, ValueError) as error:  # ValueError: another thread closed it
            failure = _failure(error, sent=True)
        else:
            if self._raw.ended:
                self._release()
            return data
        self.close()
        raise failure

    def wait(self, timeout: float) -> bool:
        """Whether :meth:`read1` would find something within ``timeout`` seconds: data, the end or a failure."""
        try:
            return self._sock is None or self._raw.wait(timeout)
        except (OSError, ValueError):
            return True

    def finish(self) -> None:
        """Keep the connection when the body's end has arrived, else hang up: for a reader that has all it wants."""
        with contextlib.suppress(TransportError):
            if self._sock is not None and self.read1(timeout=0.05):
                self.close()

    def close(self) -> None:
        """Hang up, unless the body was read to its end: the peer learns at once that nobody listens."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        with contextlib.suppress(OSError):  # the peer may have been faster
            sock.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread, which close alone does not
        sock.close()

    def _release(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._raw.keeps:
            self._transport.give_back(sock)
        else:
            sock.close()


def _head(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request line and headers. ValueError when a part would break out of its line (RFC 9112, section 11.1)."""
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
    if body or method != "GET":
        lines.append(f"content-length: {len(body)}")
    inside = "".join(lines)
    if not inside.isascii() or " " in target or "\r" in inside or "\n" in inside:
        raise ValueError("not a request line and headers")
    return "\r\n".join([*lines, "\r\n"]).encode()


def _set_timeout(sock: socket.socket, timeout: float) -> None:
    """A system call, unless it is set already."""
    if sock.gettimeout() != timeout:
        sock.settimeout(timeout)


def _is_stale(sock: socket.socket) -> bool:
    """Whether an idle connection became readable: its peer hung up, or said something that nobody asked for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _failure(error: Exception, *, sent: bool) -> TransportError:
    return TransportError(sent=sent, timed_out=isinstance(error, TimeoutError))


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for the process: loading the certificate authorities takes 10 ms and more."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
