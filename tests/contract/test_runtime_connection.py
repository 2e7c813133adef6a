"""The runtime's own connection: what a Runtime API may answer, and what is no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chatapi_runtime.connection import Connection, NotHttp

LENGTH = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nA: b\r\n\r\n"


@contextmanager
def peer(*answers: bytes) -> Iterator[tuple[Connection, Callable[[], bytes]]]:
    """A connection to a server that gives one answer to each request, then hangs up; and what it was sent."""
    heard: list[bytes] = []

    def serve() -> None:
        there, _ = listener.accept()
        with there:
            for answer in answers:
                heard.append(there.recv(65536))
                there.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection(f"127.0.0.1:{listener.getsockname()[1]}")
        yield connection, lambda: b"".join(heard)
        connection.close()
        thread.join(10)


def test_several_exchanges_on_one_connection() -> None:
    with peer(LENGTH, CHUNKED, LENGTH) as (connection, heard):
        connection.request("GET", "/next", {})
        assert connection.answer() == (200, {"lambda-runtime-aws-request-id": "1", "content-length": "2"}, b"{}")
        connection.request("POST", "/error", {"A": "b"}, b"body")
        assert connection.answer() == (202, {"transfer-encoding": "chunked"}, b"{}")
        connection.request("GET", "/next", {})
        assert connection.answer()[2] == b"{}"
        sent = heard()
    assert sent.startswith(b"GET /next HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\n\r\nPOST /error HTTP/1.1\r\n" in sent
    assert b"\r\nA: b\r\nContent-Length: 4\r\n\r\nbody" in sent


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"SSH-2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nup to the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"A" * 70_000,
    ],
)
def test_what_is_no_whole_answer(answer: bytes) -> None:
    with peer(answer) as (connection, _):
        connection.request("GET", "/next", {})
        with pytest.raises(NotHttp):
            connection.answer()


def test_a_closed_connection_is_opened_anew_by_the_next_request_alone() -> None:
    with peer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as (connection, _):
        connection.request("GET", "/next", {})
        assert connection.answer()[0] == 200
        with pytest.raises(NotHttp):
            connection.send(b"more")
        with pytest.raises(NotHttp):
            connection.answer()
