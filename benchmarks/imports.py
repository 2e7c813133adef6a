"""Cold starts: CPU of whole fresh processes, bytecode cached, nothing called."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile

from benchmarks import world

_PROCESSES = 10
# As the runtime does it. What that froze is given back: the end of a process is in the figure, and boto3's is.
_CHAT = (
    "import gc; from chatapi_runtime.loop import load; load('chat.handler.handler'); "
    "import chat.handler; chat.handler._ready(); gc.unfreeze()"
)
# Each as far as it gets before its first request: imports, composition, clients made. No client connects.
_STARTS = {
    "authorizer": ("AuthorizerFunction", "import authorizer.handler; authorizer.handler._service()"),
    "chat": ("ChatFunction", _CHAT),
    "privacy": ("PrivacyFunction", "import privacy.handler; privacy.handler._service()"),
    "boto3": ("AuthorizerFunction", "import boto3; boto3.client('dynamodb')"),
}


def measure() -> dict[str, float]:
    """The `import.*` figures: medians of 10 processes each, which take turns."""
    milliseconds: dict[str, list[float]] = {name: [] for name in _STARTS}
    with tempfile.TemporaryDirectory() as cache_dir:
        for turn in range(_PROCESSES + 1):
            for name, (function, script) in _STARTS.items():
                spent = _cpu_ms(script, world.fresh_process(cache_dir, function))
                if turn:  # the first one compiles
                    milliseconds[name].append(spent)
    medians = {name: statistics.median(spent) for name, spent in milliseconds.items()}
    return {
        **{f"import.{name}_vs_boto3": medians[name] / medians["boto3"] for name in ("authorizer", "chat")},
        **{f"import.{name}_ms": medians[name] for name in ("authorizer", "chat", "privacy")},
    }


def _cpu_ms(script: str, environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
