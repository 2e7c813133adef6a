"""An OpenAI-compatible model server whose answers are scripted, for tests across processes.

    python -m tests.support.scripted_upstream --port 9001

``POST /v1/chat/completions`` plays the next script of the queue, or :data:`DEFAULT` when it is empty; without
``stream`` it gives the same whole. ``POST /v1/embeddings`` answers each input with numbers made of its length, the last
input first. Controls, all JSON: ``POST /_script`` queues one script or a list of them (the
fields of :class:`Script`), ``POST /_release {"count": n}`` lets gated streams go on by n pieces, ``GET /_requests``
tells what was asked and what became of it, ``POST /_reset`` forgets everything and frees whoever waits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.scripted_answers import DEFAULT, Script, embeddings, frame, script_of, text_of, whole

LONGEST_WAIT = 30.0


@dataclass
class Received:
    """A request, and what became of it: pieces sent, ``outcome`` running | done | refused | broken | abandoned."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str
    sent: int = 0
    outcome: str = "running"


@dataclass
class _State:
    scripts: deque[Script] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    permits: int = 0
    epoch: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def release(self, count: int) -> None:
        with self.changed:
            self.permits += count
            self.changed.notify_all()

    def reset(self) -> None:
        with self.changed:
            self.scripts.clear()
            self.received.clear()
            self.permits = 0
            self.epoch += 1
            self.changed.notify_all()

    def wait_for_permit(self, connection: socket.socket) -> bool:
        """Take one permit; False when the client hung up, everything was reset, or nobody released for long."""
        deadline = time.monotonic() + LONGEST_WAIT
        with self.changed:
            epoch = self.epoch
            while self.permits == 0 and self.epoch == epoch and time.monotonic() < deadline:
                if _hung_up(connection):
                    return False
                self.changed.wait(0.02)  # also how often a client's hanging up is looked for
            if self.permits == 0 or self.epoch != epoch:
                return False
            self.permits -= 1
            return True


class ScriptedUpstream:
    """The server in this process, in a thread of its own: a context manager. ``base_url`` ends in /v1. With the path of
    a `certificate` (and its key) it speaks TLS."""

    def __init__(self, port: int = 0, *, certificate: str | None = None) -> None:
        self._state = _State()
        self._server = _server(port, self._state)
        self.port = self._server.server_port
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.base_url = f"https://localhost:{self.port}/v1"
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ScriptedUpstream:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._state.reset()
        self._server.shutdown()
        self._server.server_close()
        if self._thread is not None:
            self._thread.join()

    @property
    def requests(self) -> list[Received]:
        """What was asked so far."""
        return self._state.received

    def script(self, *scripts: Script) -> None:
        """Queue the next answers."""
        self._state.scripts.extend(scripts)

    def release(self, count: int = 1) -> None:
        """Let gated streams go on by ``count`` pieces."""
        self._state.release(count)

    def reset(self) -> None:
        """Forget everything, and end what still runs."""
        self._state.reset()

    def wait_for(self, outcome: str, request: int = -1) -> Received:
        """Wait until a request has come to ``outcome``."""
        with self._state.changed:
            found = self._state.changed.wait_for(
                lambda: bool(self.requests) and self.requests[request].outcome == outcome, LONGEST_WAIT
            )
        assert found, f"no request came to {outcome}"
        return self.requests[request]

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """While inside, nobody listens on the port."""
        self.__exit__()
        try:
            yield
        finally:
            self._server = _server(self.port, self._state)
            self.__enter__()


def _server(port: int, state: _State) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


def _hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


class _Broken(Exception):
    """The script says so, or the client has gone."""


class _Handler(BaseHTTPRequestHandler):
    state: _State
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/_requests":
            self._json(200, [asdict(received) for received in self.state.received])
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        else:
            self._json(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(raw or b"{}")
        match self.path:
            case "/_script":
                scripts = [script_of(each) for each in (body if isinstance(body, list) else [body])]
                self.state.scripts.extend(scripts)
                self._json(200, {"queued": len(self.state.scripts)})
            case "/_release":
                self.state.release(int(body.get("count", 1)))
                self._json(200, {})
            case "/_reset":
                self.state.reset()
                self._json(200, {})
            case "/v1/chat/completions" | "/v1/embeddings":
                self._complete(body)
            case _:
                self._json(404, {})

    def _complete(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(body, headers, self.path)
        self.state.received.append(received)
        script = self.state.scripts.popleft() if self.state.scripts else DEFAULT
        outcome = "done"
        try:
            self._play(script, body, received)
        except _Broken as broken:
            self.close_connection = True
            outcome = str(broken)
        except OSError:
            self.close_connection = True
            outcome = "abandoned"
        with self.state.changed:
            received.outcome = outcome
            self.state.changed.notify_all()

    def _play(self, script: Script, body: dict[str, Any], received: Received) -> None:
        if script.reset:
            # Linger 0: closing sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Broken("refused")
        if script.status != 200:
            error = {"message": "scripted", "type": "server_error", "param": None, "code": None, **(script.error or {})}
            self._json(script.status, {"error": error})
            raise _Broken("refused")
        if received.path == "/v1/embeddings":
            self._json(200, embeddings(body))
            return
        pieces = list(script.pieces)
        if script.echo:
            pieces = [f"{word} " for word in text_of(body["messages"][-1]["content"]).split()]
        reason = script.finish_reason or ("tool_calls" if script.tool_calls else "stop")
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        if limit and len(pieces) > limit:
            pieces, reason = pieces[:limit], "length"
        prompt = max(1, sum(len(text_of(message.get("content"))) for message in body["messages"]) // 4)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(pieces),
            "total_tokens": prompt + len(pieces),
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        if not body.get("stream"):
            for _ in pieces:
                self._gate(script, received)
            self._json(200, whole(script, body, pieces, reason, usage))
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(body, {"role": "assistant", "content": ""})
        for piece in pieces:
            self._break_off(script, received)
            self._gate(script, received)
            self._chunk(body, {"content": piece})
            received.sent += 1
        self._break_off(script, received)
        for index, (name, arguments) in enumerate(script.tool_calls):
            half = len(arguments) // 2
            start = {"index": index, "id": f"call_{index}", "type": "function"}
            self._chunk(body, {"tool_calls": [{**start, "function": {"name": name, "arguments": ""}}]})
            for fragment in (arguments[:half], arguments[half:]):
                self._chunk(body, {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})
        self._chunk(body, {}, reason)
        if script.usage and (body.get("stream_options") or {}).get("include_usage"):
            self._event(json.dumps({**frame(body), "choices": [], "usage": usage}))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _gate(self, script: Script, received: Received) -> None:
        if script.gated and not self.state.wait_for_permit(self.connection):
            raise _Broken("abandoned")

    def _break_off(self, script: Script, received: Received) -> None:
        if script.error_after == received.sent:
            self._event(json.dumps({"error": {"message": "scripted", "type": "server_error", "code": None}}))
            raise _Broken("broken")
        if script.cut_after == received.sent:
            raise _Broken("broken")

    def _chunk(self, body: dict[str, Any], delta: dict[str, Any], reason: str | None = None) -> None:
        self._event(json.dumps({**frame(body), "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))

    def _event(self, data: str) -> None:
        frame = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible upstream.")
    parser.add_argument("--port", type=int, default=0)
    server = _server(parser.parse_args().port, _State())
    print(f"ready http://127.0.0.1:{server.server_port}/v1", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
