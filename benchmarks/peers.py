"""`make bench-peers`: the same chat through other gateways, as servers beside ours, in one run.

    client ─▶ LiteLLM's proxy            ─▶ the stub, as an OpenAI-compatible server
    client ─▶ bedrock-access-gateway     ─▶ the stub, as Bedrock (Converse)
    client ─▶ edge ─▶ our two functions  ─▶ the stub, as an OpenAI-compatible server, DynamoDB and KMS

A server's figures are those of all its processes. Ours are the functions' alone, with Lambda's runtime client and our
own runtime loop, since the edge stands in for API Gateway; `cpu_with_edge_ms` counts it in. Peers do less: neither of
the two, as it is set up here, counts a limit, settles, or records what was disclosed to whom. What is not installed is
said so and not measured. Needs /proc (Linux).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from benchmarks import bedrock_stub, first_token, stubs, world
from local.ports import free_port

PYTHON = world.ROOT / ".tools" / "peers" / "bin" / "python"
GATEWAY = "BEDROCK_ACCESS_GATEWAY"
FIGURES = {
    "cpu_ms": "CPU of a chat of 20 tokens, not streamed",
    "cpu_with_edge_ms": "the same, and the local edge's: ours alone",
    "per_token_us": "CPU of one more streamed token, each a write of its own",
    "first_token_added_ms": "time to the first token beyond the provider's own",
    "start_cpu_ms": "CPU from nothing to the first answer",
    "start_seconds": "time from nothing to the first answer",
    "memory_mb": "resident memory after the run",
}
_CHATS, _PAIRS, _START_SECONDS = 60, 20, 120
_TICK = os.sysconf("SC_CLK_TCK")


class Server(NamedTuple):
    """A running server. `skip`: its root process is not its own cost."""

    name: str
    pid: int
    port: int
    path: str
    model: str
    provider: str
    started: float
    skip: bool = False


def main() -> int:
    """Measure what is there, print a table, write `.local/bench-peers.json`."""
    figures: dict[str, float] = {}
    with stubs.running() as servers, tempfile.TemporaryDirectory() as directory:
        for name, start in (("chatapi", _ours), ("litellm", _litellm), ("bedrock_access_gateway", _gateway)):
            why = _missing(name)
            if why:
                print(f"not installed: {name}: {why}", flush=True)
                continue
            with start(servers, Path(directory)) as server:
                figures |= _measure(server, servers)
    figures |= _vault()
    for name, value in figures.items():
        print(f"peers.{name:44} {value:11.3f}  {_ratio(name, figures)}", flush=True)
    path = world.ROOT / (os.environ.get("LOCAL") or ".local") / "bench-peers.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps({f"peers.{name}": round(value, 4) for name, value in figures.items()}, indent=2) + "\n")
    print(path)
    return 0


def _ratio(name: str, figures: dict[str, float]) -> str:
    peer, _, figure = name.partition(".")
    ours = figures.get(f"chatapi.{figure}")
    return "" if not ours or peer.startswith("chatapi") else f"{figures[name] / ours:8.1f} times ours"


def _missing(name: str) -> str:
    """Why a peer cannot be measured here; nothing where it can."""
    if name != "chatapi" and not PYTHON.exists():
        return "requirements/peers.txt is not installed"
    if name == "bedrock_access_gateway" and not os.environ.get(GATEWAY):
        return f"it is no package; {GATEWAY}=DIR names a checkout of aws-samples/bedrock-access-gateway"
    return ""


def _measure(server: Server, servers: stubs.Stubs) -> dict[str, float]:
    provider = HTTPConnection(servers.url.removeprefix("http://"), timeout=60)
    client = HTTPConnection("127.0.0.1", server.port, timeout=60)
    _answered(client, server)
    found = {"start_seconds": time.monotonic() - server.started, "start_cpu_ms": _cpu(server) * 1e3}
    for stream in (False, True):
        for _ in range(10):
            _chat(client, server, 20, stream=stream)
    whole, few, many = list[float](), list[float](), list[float]()
    everything = server._replace(skip=False)
    found["cpu_with_edge_ms"] = -_cpu(everything) * 1e3 / _CHATS
    for _ in range(_CHATS):
        _chat(client, server, 20, stream=False)
    found["cpu_with_edge_ms"] += _cpu(everything) * 1e3 / _CHATS
    for _ in range(5):
        for spent, tokens, stream in ((whole, 20, False), (few, 20, True), (many, 220, True)):
            before = _cpu(server)
            for _ in range(_CHATS):
                _chat(client, server, tokens, stream=stream)
            spent.append((_cpu(server) - before) / _CHATS)
    found["cpu_ms"] = statistics.median(whole) * 1e3
    found["per_token_us"] = (statistics.median(many) - statistics.median(few)) / 200 * 1e6
    added = []
    for turn in range(_PAIRS):
        body = _body(server, 20, stream=True, prompt=f"This is question number {turn}.")
        alone = first_token.first_token(provider, "/slow/v1/chat/completions", body)
        added.append(first_token.first_token(client, server.path, body) - alone)
    found["first_token_added_ms"] = statistics.median(added) * 1e3
    found["memory_mb"] = sum(_resident(pid) for pid in _tree(server)) / 1e6
    provider.close()
    client.close()
    if not server.skip:
        del found["cpu_with_edge_ms"]
    return {f"{server.name}.{name}": found[name] for name in FIGURES if name in found}


def _body(server: Server, tokens: int, *, stream: bool, prompt: str = "Say hello.") -> str:
    asked = json.loads(world.chat_body(tokens, stream=stream, prompt=prompt))
    del asked["store"]
    return json.dumps({**asked, "model": server.model})


def _chat(client: HTTPConnection, server: Server, tokens: int, *, stream: bool) -> None:
    headers = {"Authorization": f"Bearer {world.KEY}", "Content-Type": "application/json"}
    client.request("POST", server.path, _body(server, tokens, stream=stream), headers)
    response = client.getresponse()
    text = response.read()
    if response.status != 200 or b" word" not in text:
        raise SystemExit(f"{server.name} did not answer: {response.status} {text[:500]!r}")


def _answered(client: HTTPConnection, server: Server) -> None:
    """Wait for the first answer."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            _chat(client, server, 20, stream=False)
        except OSError:
            client.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def _ours(servers: stubs.Stubs, directory: Path) -> Iterator[Server]:
    started = time.monotonic()
    with first_token.edge(servers) as (port, pid):
        yield Server("chatapi", pid, port, "/v1/chat/completions", "smollm2-135m", "openai", started, skip=True)


@contextmanager
def _litellm(servers: stubs.Stubs, directory: Path) -> Iterator[Server]:
    config, port = directory / "litellm.json", free_port()
    model = {"model": "openai/stub", "api_base": f"{servers.url}/slow/v1", "api_key": "x"}
    listed = [{"model_name": "stub", "litellm_params": model}]
    config.write_text(json.dumps({"model_list": listed, "general_settings": {"master_key": world.KEY}}))
    code = "from litellm import run_server; run_server()"
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
    with _process(["-c", code, *arguments], environment, directory) as (pid, started):
        yield Server("litellm", pid, port, "/v1/chat/completions", "stub", "openai", started)


@contextmanager
def _gateway(servers: stubs.Stubs, directory: Path) -> Iterator[Server]:
    port = free_port()
    environment = {
        "API_KEY": world.KEY,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": world.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"{servers.url}/slow",
        "ENABLE_CROSS_REGION_INFERENCE": "false",
        "ENABLE_APPLICATION_INFERENCE_PROFILES": "false",
        "PYTHONPATH": str(Path(os.environ[GATEWAY]).resolve() / "src"),
        "TIKTOKEN_CACHE_DIR": _encodings(),
    }
    arguments = ["-m", "uvicorn", "api.app:app", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    with _process(arguments, environment, directory) as (pid, started):
        path = "/api/v1/chat/completions"
        yield Server("bedrock_access_gateway", pid, port, path, bedrock_stub.MODEL, "bedrock", started)


def _encodings() -> str:
    """LiteLLM ships the encoding that the gateway would download at its start."""
    code = "import importlib.util as u; print(u.find_spec('litellm').submodule_search_locations[0])"
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return str(Path(found, "litellm_core_utils", "tokenizers"))


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], directory: Path) -> Iterator[tuple[int, float]]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    started = time.monotonic()
    with (directory / "server.log").open("wb") as log:
        command = [str(PYTHON), *arguments]
        with subprocess.Popen(command, env={**kept, **environment}, cwd=directory, stdout=log, stderr=log) as process:
            try:
                yield process.pid, started
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def _tree(server: Server) -> list[int]:
    """The server's processes."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [server.pid]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:] if server.skip else found


def _cpu(server: Server) -> float:
    """Seconds, user and system, of its processes and of those that have ended."""
    total = 0
    for pid in _tree(server):
        with suppress(OSError):
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total / _TICK


def _resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024
    return 0


def _vault() -> dict[str, float]:
    if not PYTHON.exists():
        print("not installed: aws-encryption-sdk, dynamodb-encryption-sdk: requirements/peers.txt is not installed")
        return {}
    paths = [world.ROOT, world.ROOT / "layers" / "core"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [PYTHON, "-m", "benchmarks.peers_vault"]
    done = subprocess.run(command, cwd=world.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    sys.exit(main())
