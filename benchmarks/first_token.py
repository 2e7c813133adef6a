"""What the edge and the functions add to the time to the first token, warm, beside the provider alone."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks import stubs, world
from local.ports import free_port

_PAIRS, _WARM_UP = 30, 5


def measure() -> dict[str, float]:
    """`chat.first_token_added_ms`: the difference of two medians. Requests take turns, each with its own prompt."""
    alone: list[float] = []
    through: list[float] = []
    with stubs.running() as servers, edge(servers) as (port, _):
        provider = HTTPConnection(servers.url.removeprefix("http://"), timeout=30)
        front = HTTPConnection("127.0.0.1", port, timeout=30)
        for turn in range(_WARM_UP + _PAIRS):
            body = world.chat_body(20, stream=True, prompt=f"This is question number {turn}.")
            alone.append(first_token(provider, "/slow/v1/chat/completions", body))
            through.append(first_token(front, "/v1/chat/completions", body))
        provider.close()
        front.close()
    median = [statistics.median(seconds[_WARM_UP:]) for seconds in (alone, through)]
    return {"chat.first_token_added_ms": (median[1] - median[0]) * 1e3}


def first_token(connection: HTTPConnection, path: str, body: str) -> float:
    """Seconds from sending the request to holding the first piece of content. The rest is read as well."""
    headers = {"Authorization": f"Bearer {world.KEY}", "Content-Type": "application/json"}
    started = time.perf_counter()
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"no answer: {response.status} {response.read(500)!r}")
    for line in response:
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                break
    else:
        raise SystemExit("a stream without any content")
    seconds = time.perf_counter() - started
    response.read()
    return seconds


@contextmanager
def edge(servers: stubs.Stubs) -> Iterator[tuple[int, int]]:
    """The edge of the local stack, with the functions from the source tree; yields its port and process id."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "edge.json")
        port = free_port()
        config.write_text(json.dumps(_config(Path(directory), port, servers)))
        command = [sys.executable, "-m", "local.edge", "--config", str(config)]
        with subprocess.Popen(command, cwd=world.ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                if not select.select([process.stdout], [], [], 60)[0] or "ready" not in process.stdout.readline():
                    raise SystemExit("the edge did not start")
                yield port, process.pid
            finally:
                process.terminate()


def _config(directory: Path, port: int, servers: stubs.Stubs) -> dict[str, Any]:
    layers = _layers(directory)
    functions = {}
    for name in ("AuthorizerFunction", "ChatFunction"):
        declared = world.template()["Resources"][name]["Properties"]
        functions[name] = {
            "arn": f"arn:aws:lambda:{world.REGION}:000000000000:function:{name}",
            "handler": declared["Handler"],
            "code": str(world.ROOT / "functions"),
            "layers": layers,
            "runtime_dirs": [str(world.ROOT / ".tools" / "runtime")],
            "env": {**world.settings(name, f"{servers.url}/slow/v1"), "AWS_ENDPOINT_URL": servers.url}
            | ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/streaming-runtime"} if name == "ChatFunction" else {}),
            "timeout": declared["Timeout"],
            "memory": declared["MemorySize"],
            "max_workers": 2,
        }
    return {
        "apis": {"Api": port},
        "template": str(world.ROOT / "template.yaml"),
        "parameters": {"Stage": "local"},
        "account_id": "000000000000",
        "region": world.REGION,
        "stage": "live",
        "log_dir": str(directory / "logs"),
        "python": sys.executable,
        "functions": functions,
    }


def _layers(directory: Path) -> list[str]:
    """The layers as Lambda lays them out, over the source tree and the installed packages."""
    source = world.ROOT / "layers"
    places = {
        "core/python/chatapi": source / "core" / "chatapi",
        "runtime/python/chatapi_runtime": source / "runtime" / "chatapi_runtime",
        "runtime/bin": source / "runtime" / "bin",
        "deps/python": Path(sysconfig.get_path("purelib")),
    }
    for place, target in places.items():
        (directory / place).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, directory / place)
    return [str(directory / name) for name in ("core", "runtime", "deps")]
