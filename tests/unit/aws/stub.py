"""A loopback HTTP server that gives one scripted reply to each request, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A whole response. ``hang_up`` closes the connection after it without having announced so."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass(frozen=True)
class Chunks:
    """A chunked response, one write a chunk. ``cut`` ends it without the last chunk; ``hold`` waits before the end."""

    chunks: tuple[bytes, ...]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hold: bool = False


@dataclass(frozen=True)
class Drop:
    """Take the request and hang up without an answer."""


@dataclass(frozen=True)
class Silence:
    """Take the request and say nothing until the stub is stopped."""


Script = Reply | Chunks | Drop | Silence


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int  # of the client: tells connections apart

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stub:
    def __init__(self) -> None:
        self.script: queue.SimpleQueue[Script] = queue.SimpleQueue()
        self.requests: list[Request] = []
        self.hung_up = threading.Event()  # a client closed a connection that it was being answered on
        self.stopping = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stub.requests.append(Request(self.command, self.path, headers, body, self.client_address[1]))
                stub.answer(self)

            do_GET = do_POST

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def reply(self, *replies: Script) -> None:
        for reply in replies:
            self.script.put(reply)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        match self.script.get_nowait():
            case Reply(status, body, headers, hang_up):
                handler.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(body)
                handler.close_connection = hang_up
            case Chunks(chunks, status, headers, cut, hold):
                handler.send_response(status)
                for name, value in {"transfer-encoding": "chunked", **headers}.items():
                    handler.send_header(name, value)
                handler.end_headers()
                for chunk in chunks:
                    handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if hold:
                    self.wait_for_hang_up(handler)
                elif not cut:
                    handler.wfile.write(b"0\r\n\r\n")
                handler.close_connection = cut or hold
            case Drop():
                handler.close_connection = True
            case Silence():
                handler.close_connection = True
                self.stopping.wait(30)

    def wait_for_hang_up(self, handler: BaseHTTPRequestHandler) -> None:
        handler.connection.settimeout(30)
        with contextlib.suppress(ConnectionError):
            if handler.connection.recv(1):
                return
        self.hung_up.set()

    def use_tls(self, certificate_chain: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate_chain)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = self.url.replace("http://127.0.0.1", "https://localhost")


@contextlib.contextmanager
def running(stub: Stub) -> Iterator[Stub]:
    thread = threading.Thread(target=stub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.stopping.set()
        stub.server.shutdown()
        stub.server.server_close()
        thread.join()


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
