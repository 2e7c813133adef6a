"""The authorizer: CPU beside boto3's bare update, a forged key, calls, memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from base64 import b64decode
from contextlib import suppress
from typing import Any

from benchmarks import stubs, world

_WARM = """
import json, sys
from authorizer.handler import handler
from chatapi.aws import transport

event = json.loads(sys.argv[1])
for _ in range(50):
    assert handler(event, None)["policyDocument"]["Statement"][0]["Effect"] == "Allow"
transport._tls()  # the stubs speak clear text; AWS does not
try:
    # Not ru_maxrss: on Linux it survives exec, and would tell the memory of the process that started this one.
    status = open("/proc/self/status").read()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
except FileNotFoundError:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # macOS: bytes
"""


def measure() -> dict[str, float]:
    """The `authorizer.*` figures."""
    import boto3

    with stubs.running() as servers:
        world.enter(servers)
        from authorizer.handler import handler

        event = world.authorizer_event(world.chat_body(20))
        forged_event = world.authorizer_event(world.chat_body(20), _forged())
        update = _update()
        client = boto3.client("dynamodb")

        def ours() -> None:
            assert handler(event, None)["policyDocument"]["Statement"][0]["Effect"] == "Allow"

        def bare() -> None:
            client.update_item(**update)

        def forged() -> None:
            with suppress(Exception):
                handler(forged_event, None)
                raise SystemExit("a forged key was let in")

        mine, theirs = world.cpu_seconds(ours, bare)
        forged()  # a warm function has the day's salt of its signals (docs/abuse.md)
        servers.calls()
        (refusal,) = world.cpu_seconds(forged)
        if servers.calls():
            raise SystemExit("a forged key cost a call")
        for _ in range(world.WARM_UP):
            ours()
        return {
            "authorizer.cpu_ms": mine * 1e3,
            "authorizer.vs_bare_update": mine / theirs,
            "authorizer.forged_key_us": refusal * 1e6,
            "authorizer.calls_per_request": servers.calls().total() / world.WARM_UP,
            "authorizer.calls_with_leases": _calls(servers, stubs.LEASED, 500),
            "authorizer.calls_at_ten_times": _calls(servers, stubs.SHORT, 10 * stubs.SHORT_RPM),
            "authorizer.memory_mb": _memory(event),
        }


def _calls(servers: stubs.Stubs, project: str, requests: int) -> float:
    """AWS calls a request, of so many at once, with a key of another project of the stubs."""
    from authorizer.handler import handler
    from chatapi.keys import mint_key

    event = world.authorizer_event(world.chat_body(20), mint_key(stubs.SECRET.encode(), project, "k1"))
    servers.calls()
    for _ in range(requests):
        handler(event, None)
    return servers.calls().total() / requests


def _forged() -> str:
    """A key that only the mint's tag gives away: made under another mint key, its checksum is right."""
    from chatapi.keys import mint_key

    return mint_key(b"another mint key, not this deployment's", world.PROJECT, "k1")


def _update() -> dict[str, Any]:
    """The very update that the authorizer sends, for boto3, which encodes binary values itself."""
    import time

    from chatapi.limits.admission import Debit, plan
    from chatapi.verdict import estimate

    now = time.time()
    debit = Debit("chat", estimate(100))
    attempt = plan("bench-projects_table", world.PROJECT, "k1", bytes(32), "chat", debit, now, now + 905)
    update = dict(attempt.update)
    update["ExpressionAttributeValues"] = {
        name: {tag: b64decode(v) if tag == "B" else [b64decode(x) for x in v] if tag == "BS" else v}
        for name, av in attempt.update["ExpressionAttributeValues"].items()
        for tag, v in av.items()
    }
    return update


def _memory(event: dict[str, Any]) -> float:
    with tempfile.TemporaryDirectory() as cache_dir:
        environment = world.fresh_process(cache_dir, "AuthorizerFunction")
        command = [sys.executable, "-c", _WARM, json.dumps(event)]
        # The second run: compiling, which the first one does, takes memory that no function on Lambda takes.
        for _ in range(2):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return int(done.stdout) / 1e6
