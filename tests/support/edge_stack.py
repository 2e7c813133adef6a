"""An edge of its own for a test: real process, real workers, free port, the fixture template."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent
FUNCTIONS: dict[str, dict[str, Any]] = {
    "AuthFunction": {"handler": "edge_handlers.authorize"},
    "EchoFunction": {"handler": "edge_handlers.echo", "env": {"FROM_TEMPLATE": "yes"}},
    "QuickFunction": {"handler": "edge_handlers.echo", "timeout": 1},
    "BrokenFunction": {"handler": "edge_handlers.absent"},
    "NoScriptFunction": {"handler": "edge_handlers.echo", "env": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/absent"}},
    "StreamFunction": {"handler": "edge_handlers.stream", "timeout": 900, "streaming": True},
    "SingleFunction": {"handler": "edge_handlers.stream", "timeout": 2, "max_workers": 1, "streaming": True},
}


@dataclass(frozen=True)
class Edge:
    """A running edge."""

    url: str
    process: subprocess.Popen[str]
    log_dir: Path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a raw socket."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def access_log(self) -> list[dict[str, Any]]:
        """The lines of the access log so far."""
        return [json.loads(line) for line in (self.log_dir / "edge.log").read_text().splitlines()]


def free_port() -> int:
    """A port on which nobody listens right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(directory: Path, port: int, **changes: Any) -> Path:
    """The configuration that a supervisor would write, with the code and the runtime laid out under ``directory``."""
    code, layer, runtime = directory / "code", directory / "layer", directory / "runtime"
    code.mkdir()
    shutil.copy(SUPPORT / "edge_handlers.py", code)
    shutil.copytree(ROOT / "layers/runtime/chatapi_runtime", layer / "python/chatapi_runtime")
    shutil.copytree(ROOT / "layers/runtime/bin", layer / "bin")
    runtime.mkdir()
    for distribution in ("awslambdaric", "simplejson", "snapshot-restore-py"):
        for file in files(distribution) or ():
            if not (runtime / file.parts[0]).exists() and not file.parts[0].startswith("."):
                (runtime / file.parts[0]).symlink_to(
                    Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0]
                )
    functions = {}
    for name, item in FUNCTIONS.items():
        env = dict(item.get("env", {}))
        if item.get("streaming"):
            env["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/bin/streaming-runtime"
        functions[name] = {
            "arn": f"arn:aws:lambda:eu-central-1:000000000000:function:{name}",
            "handler": item["handler"],
            "code": str(code),
            "layers": [str(layer)],
            "runtime_dirs": [str(runtime)],
            "env": env,
            "timeout": item.get("timeout", 10),
            "memory": 256,
            "max_workers": item.get("max_workers", 10),
        }
    config = {
        "port": port,
        "template": str(SUPPORT / "edge_template.yaml"),
        "parameters": {},
        "account_id": "000000000000",
        "region": "eu-central-1",
        "stage": "live",
        "log_dir": str(directory / "logs"),
        "python": sys.executable,
        "queue_seconds": 0.3,
        "functions": functions,
        **changes,
    }
    path = directory / "edge.json"
    path.write_text(json.dumps(config))
    return path


def start_edge(config: Path) -> subprocess.Popen[str]:
    """The edge's process; its stdout is a pipe."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FROM_PARENT": "yes"}
    command = [sys.executable, "-m", "local.edge", "--config", str(config)]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running_edge(directory: Path, **changes: Any) -> Iterator[Edge]:
    """Start an edge, wait until it is ready, stop it at the end and see that it stopped well."""
    with start_edge(write_config(directory, free_port(), **changes)) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            if line.startswith("edge ready "):
                yield Edge(line.split()[-1], process, directory / "logs")
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=20)
    assert errors == "", errors


class SideChannel:
    """Releases a streaming function token by token, and hears what becomes of its generator."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lines: queue.Queue[str] = queue.Queue()
        self._peer: queue.Queue[socket.socket] = queue.Queue()
        self._released: socket.socket | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> SideChannel:
        return self

    def __exit__(self, *_: object) -> None:
        peers = [self._server, *([self._released] if self._released else []), *self._peer.queue]
        for peer in peers:
            with suppress(OSError):  # it may be gone already
                peer.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)
        self._server.close()

    def release(self, tokens: int = 1) -> None:
        """Let the function go on behind this many tokens."""
        if self._released is None:
            self._released = self._peer.get(timeout=10)
        self._released.sendall(b"." * tokens)

    def hear(self) -> str:
        """The next thing that the function said: ``started``, ``finished`` when it made every token, ``settled`` when
        its generator was closed, or empty when it is gone."""
        return self._lines.get(timeout=10)

    def _listen(self) -> None:
        with suppress(OSError):
            peer, _ = self._server.accept()
            with peer, peer.makefile("r") as lines:
                self._peer.put(peer)
                for line in lines:
                    self._lines.put(line.strip())
        self._lines.put("")
