"""Kept-alive HTTP/1.1 to one origin, over ``http.client``: the least that signed calls and token streams need."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection, IncompleteRead

from chatapi.aws.errors import TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# The last two are what http.client raises when another thread closes the response under a reader.
_READ_ERRORS = (OSError, HTTPException, ValueError, AttributeError)


class Transport:
    """Connections to ``endpoint`` (``scheme://host[:port]``), reused when the peer keeps them open.

    ``timeout`` (seconds) bounds the connect and each wait for bytes, not their sum. Clear text is accepted to this
    machine and ``clear_text_hosts`` only: ValueError for any other ``http`` origin. Threads may share a transport.
    """

    def __init__(
        self, endpoint: str, *, timeout: float, clear_text_hosts: tuple[str, ...] = (), resend: bool = True
    ) -> None:
        self._idle: list[HTTPConnection] = []
        scheme, _, self.host = endpoint.rstrip("/").partition("://")
        if scheme not in ("http", "https") or not self.host or "/" in self.host or "@" in self.host:
            raise ValueError("an endpoint is scheme://host[:port]")
        name = self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host
        if scheme == "http" and name not in (*_LOOPBACK, *clear_text_hosts):
            raise ValueError("clear text is for this machine only: the endpoint must be https")
        self._secure = scheme == "https"
        self._timeout = timeout
        self._resend = resend

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, *, timeout: float | None = None
    ) -> Response:
        """Send one request and wait for the status and headers of its response. Raises :class:`TransportError`.

        A peer may close an idle connection at any moment, so a reused one that dies without a byte of answer is
        replaced once: an exchange is at least once, unless ``resend`` is off, when it is at most once.
        """
        timeout = self._timeout if timeout is None else timeout
        while self._idle:
            connection = self._idle.pop()
            if _is_stale(connection):
                connection.close()
                continue
            connection.sock.settimeout(timeout)
            try:
                return self._exchange(connection, method, target, headers, body)
            except _HUNG_UP as error:
                if self._resend:
                    break
                failure = _failure(error, sent=True)
            except (OSError, HTTPException) as error:
                failure = _failure(error, sent=True)
            raise failure
        connection = self._connection(timeout)
        sent = False
        try:
            connection.connect()
            sent = True
            return self._exchange(connection, method, target, headers, body)
        except (OSError, HTTPException) as error:
            connection.close()
            failure = _failure(error, sent=sent)
        raise failure  # outside the handler: the cause holds a request, and must not travel with the error

    def give_back(self, connection: HTTPConnection) -> None:
        """Keep a connection whose exchange is complete."""
        self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    __del__ = close  # an abandoned client hangs up, without a ResourceWarning for each idle socket

    def _connection(self, timeout: float) -> HTTPConnection:
        if self._secure:
            return HTTPSConnection(self.host, timeout=timeout, context=_tls())
        return HTTPConnection(self.host, timeout=timeout)

    def _exchange(
        self, connection: HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        sock: socket.socket = connection.sock
        raw = HTTPResponse(sock, method=method)
        try:
            sock.sendall(_head(method, target, headers, body) + body)  # one write, where http.client takes two
            raw.begin()
        except BaseException:
            raw.close()
            connection.close()
            raise
        return Response(raw, connection, self)


class Response:
    """A response whose body is still on the wire. Read it to the end or close it."""

    __slots__ = ("_connection", "_raw", "_transport", "headers", "status")

    def __init__(self, raw: HTTPResponse, connection: HTTPConnection, transport: Transport) -> None:
        self.status: int = raw.status
        self.headers: HTTPMessage = raw.headers
        self._raw = raw
        self._connection: HTTPConnection | None = connection
        self._transport = transport  # kept alive by what it lent out

    def read(self) -> bytes:
        """The whole body. Raises :class:`TransportError` when it is cut short."""
        try:
            data = self._raw.read()
        except _READ_ERRORS as error:
            failure = _failure(error, sent=True)
        else:
            self._release()
            return data
        self.close()
        raise failure

    def read1(self, limit: int = 65536, *, timeout: float | None = None) -> bytes:
        """What has arrived, waiting (``timeout`` seconds at most) only when nothing has; ``b""`` at the end.

        Raises :class:`TransportError` when the body is cut short or nothing came in time.
        """
        try:
            if timeout is not None and self._connection is not None:
                self._connection.sock.settimeout(timeout)
            data = self._raw.read1(limit)
            if not data and self._raw.length:
                raise IncompleteRead(b"")  # http.client takes a body that is too short for a complete one
        except _READ_ERRORS as error:
            failure = _failure(error, sent=True)
        else:
            if not data:
                self._release()
            return data
        self.close()
        raise failure

    def finish(self) -> None:
        """Keep the connection when the body's end has arrived, else hang up: for a reader that has all it wants."""
        with contextlib.suppress(TransportError):
            if self._connection is not None and self.read1(timeout=0.05):
                self.close()

    def close(self) -> None:
        """Hang up, unless the body was read to its end: the peer learns at once that nobody listens."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(OSError):  # the peer may have been faster
            connection.sock.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread, which close alone does not
        self._raw.close()
        connection.close()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._raw.close()
        if connection is None:
            return
        if self._raw.will_close:
            connection.close()
        else:
            self._transport.give_back(connection)


def _head(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request line and headers. ValueError when a part would break out of its line (RFC 9112, section 11.1)."""
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
    if body or method != "GET":
        lines.append(f"content-length: {len(body)}")
    head = "\r\n".join(lines)
    if not head.isascii() or " " in target or not head.count("\r") == head.count("\n") == len(lines) - 1:
        raise ValueError("not a request line and headers")
    return f"{head}\r\n\r\n".encode()


def _is_stale(connection: HTTPConnection) -> bool:
    """Whether an idle connection became readable: its peer hung up, or said something that nobody asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _failure(error: Exception, *, sent: bool) -> TransportError:
    return TransportError(sent=sent, timed_out=isinstance(error, TimeoutError))


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for the process: loading the certificate authorities takes 10 ms and more."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
