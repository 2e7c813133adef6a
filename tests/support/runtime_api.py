"""A Lambda Runtime API on loopback, by hand on sockets: it sees each chunk and each trailer as they arrive.

It is not the edge's own server on purpose: the runtime loop is tested against a second reading of AWS's contract.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[2]
BASE = "/2018-06-01/runtime"
DEADLINE_MS = 4_000_000_000_000


@dataclass
class Post:
    """One request of the runtime, header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """All chunks together."""
        return b"".join(self.chunks)


class RuntimeApi:
    """Hands out events and records what comes back.

    ``on_chunk`` is called with each chunk before the next one is read; False cuts the connection there.
    ``keep_alive=False`` closes the connection after every answer.
    """

    def __init__(self, on_chunk: Callable[[bytes], bool] = lambda _chunk: True, *, keep_alive: bool = True) -> None:
        self.on_chunk = on_chunk
        self.connections = 0
        self._keep_alive = keep_alive
        self._hop = {} if keep_alive else {"Connection": "close"}
        self._events: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self._posts: queue.Queue[Post] = queue.Queue()
        self._ids = itertools.count(1)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> RuntimeApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """For AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def invoke(self, event: Mapping[str, Any], **headers: str) -> str:
        """Queue an event; returns its request id."""
        request_id = f"request-{next(self._ids)}"
        known = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(DEADLINE_MS),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:000000000000:function:f",
        }
        known |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._events.put((known, json.dumps(event).encode()))
        return request_id

    def posted(self) -> Post:
        """The next request of the runtime, ``invocation/next`` left out."""
        return self._posts.get(timeout=10)

    def close(self) -> None:
        """Be gone, as a sandbox that ends is."""
        # shutdown wakes the thread in accept, which would otherwise keep the port open
        for peer in (self._server, *self._peers):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer, peer.makefile("rb") as stream:
            while self._exchange(peer, stream) and self._keep_alive:
                pass

    def _exchange(self, peer: socket.socket, stream: BinaryIO) -> bool:
        line = stream.readline().decode().split()
        if not line:
            return False
        request = Post(line[0], line[1].removeprefix(BASE), _headers(stream))
        if request.path == "/invocation/next":
            headers, event = self._events.get()
            _answer(peer, 200, headers | self._hop, event)
            return True
        whole = self._read_body(request, stream)
        if not whole:
            peer.shutdown(socket.SHUT_RDWR)  # before anybody hears of it
        self._posts.put(request)
        if not whole:
            return False
        _answer(peer, 200 if request.method == "GET" else 202, self._hop)
        return True

    def _read_body(self, request: Post, stream: BinaryIO) -> bool:
        if request.headers.get("transfer-encoding") != "chunked":
            request.chunks.append(stream.read(int(request.headers.get("content-length", "0"))))
            return True
        while size := int(stream.readline() or b"0", 16):
            request.chunks.append(stream.read(size))
            stream.readline()
            if not self.on_chunk(request.chunks[-1]):
                return False
        request.trailers = _headers(stream)
        return True


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _answer(peer: socket.socket, status: int, headers: Mapping[str, str], body: bytes = b"{}") -> None:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    peer.sendall("\r\n".join(lines).encode() + body)


def start_runtime(api: RuntimeApi, code: Path, handler: str, **env: str) -> subprocess.Popen[str]:
    """The loop as Lambda starts it: the wrapper script, given the managed runtime's own command line."""
    environ = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "LAMBDA_TASK_ROOT": str(code),
        "PYTHONPATH": str(ROOT / "layers/runtime"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "_HANDLER": handler,
        **env,
    }
    wrapper = ROOT / "layers/runtime/bin/streaming-runtime"
    command = [str(wrapper), sys.executable, "-S", "-m", "awslambdaric", handler]
    return subprocess.Popen(command, cwd=code, env=environ, stderr=subprocess.PIPE, text=True)
