"""An HTTP server on loopback that answers as it is told, or hands a request on as it came."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")
_SECONDS = 60


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, value: Any) -> Self:
        """A value as JSON."""
        return cls(200, [("content-type", "application/json")], json.dumps(value).encode())


class Asked(NamedTuple):
    """An HTTP request; the names of the headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def hand_on(self, url: str) -> Answer:
        """What a server at `url` answers to it."""
        upstream = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS)
        try:
            kept = {name: value for name, value in self.headers.items() if name not in _HOP}
            upstream.request(self.method, self.path, self.body, kept)
            answer = upstream.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            upstream.close()


def serve(hears: Callable[[Asked], Answer | None], problems: list[BaseException]) -> ThreadingHTTPServer:
    """A server that runs until its `end`. None for an answer closes the connection without one; so does an
    exception, which goes into `problems`: the test that asserts on them has to know."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _hear(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = None
            try:
                answer = hears(Asked(self.command, self.path, headers, body))
            except Exception as problem:
                problems.append(problem)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self._headers_buffer += [b"\r\n", answer.body]  # one packet: two would wait for each other
            self.flush_headers()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _hear

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    return server


def end(server: ThreadingHTTPServer) -> None:
    """Let a server end by itself, soon: what it is answering may be what ends it."""

    def ends() -> None:
        server.shutdown()
        server.server_close()

    threading.Thread(target=ends).start()
