"""One worker process and its own Runtime API, as a Lambda sandbox has one.

The process sees what it would see on Lambda: the function's code, its layers and the runtime's own directories on the
path, the function's environment and nothing of ours. It ends with the edge, however the edge ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.edge.http import Disconnected, Exchange, port_of, serve
from local.edge.invocation import MAX_PAYLOAD, FunctionFailed, Invocation, Reason

if TYPE_CHECKING:
    from local.edge.functions import Function

_BASE = "/2018-06-01/runtime"
_ERROR_TYPE = "lambda-runtime-function-error-type"
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


@dataclass(frozen=True)
class FunctionConfig:
    """What the supervisor says about one function; ``timeout`` in seconds, ``memory`` in MB."""

    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    runtime_dirs: tuple[Path, ...]
    env: Mapping[str, str]
    timeout: float
    memory: int
    max_workers: int
    python: str
    region: str

    @classmethod
    def parse(cls, name: str, item: Mapping[str, Any], edge: Mapping[str, Any]) -> FunctionConfig:
        """From the configuration file's JSON; KeyError where something is missing."""
        return cls(
            name=name,
            arn=item["arn"],
            handler=item["handler"],
            code=Path(item["code"]),
            layers=tuple(map(Path, item.get("layers", ()))),
            runtime_dirs=tuple(map(Path, item.get("runtime_dirs", ()))),
            env={key: str(value) for key, value in item.get("env", {}).items()},
            timeout=float(item.get("timeout", 3)),
            memory=int(item.get("memory", 128)),
            max_workers=int(item.get("max_workers", 20)),
            python=edge["python"],
            region=edge["region"],
        )

    def command(self) -> list[str]:
        """The managed runtime's command line, behind the function's wrapper script if it names one.

        FileNotFoundError if no layer has the script.
        """
        # -S: the edge's own site-packages are not on Lambda either.
        command = [self.python, "-S", "-m", "awslambdaric", self.handler]
        wrapper = self.env.get("AWS_LAMBDA_EXEC_WRAPPER")
        if not wrapper:
            return command
        inside = wrapper.removeprefix("/opt/")
        for layer in reversed(self.layers):  # layers are laid over each other, the last one on top
            if (layer / inside).is_file():
                return [str(layer / inside), *command]
        raise FileNotFoundError("no layer has the script that AWS_LAMBDA_EXEC_WRAPPER names")

    def environment(self, runtime_api: str) -> dict[str, str]:
        """The process's whole environment (AWS: "Defined runtime environment variables")."""
        path = [self.code]
        for layer in self.layers:
            path += [layer / "python", *layer.glob("python/lib/python3.*/site-packages")]
        path += self.runtime_dirs
        return {
            **self.env,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's disk is read-only
            "LAMBDA_TASK_ROOT": str(self.code),
            "_HANDLER": self.handler,
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_LAMBDA_FUNCTION_NAME": self.arn.rpartition(":")[2],
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


class Worker:
    """One process. ``run`` is its whole life; the pool gives it work (``current``) when it asks."""

    def __init__(self, pool: Function) -> None:
        self._pool = pool
        self._config = pool.config
        self._process: asyncio.subprocess.Process | None = None
        self.current: Invocation | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._line: Exchange | None = None  # the connection on which the process asked for work

    async def run(self) -> None:
        """Start the process and stay until it has ended. OSError if it cannot be started."""
        self._server = server = await serve(self._runtime_api)
        try:
            with self._pool.log_path.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._config.command(),
                    cwd=self._config.code,
                    env=self._config.environment(f"127.0.0.1:{port_of(server)}"),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the edge, which ends its workers in order
                    preexec_fn=_end_with_parent(),
                )
            await self._process.wait()
        finally:
            server.close()
            self._finish(FunctionFailed(Reason.CRASH))

    def terminate(self) -> None:
        """Ask the process to end. One with a request loses its Runtime API instead: a broken connection is what closes
        a streamed body, so that its ``finally`` settles."""
        if self.current and self._line:
            self._server.close()
            self._line.abort()
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and what it started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _runtime_api(self, exchange: Exchange) -> None:
        """AWS: "Using the Lambda runtime API for custom runtimes"."""
        path = exchange.target.removeprefix(_BASE)
        invocation = self.current
        if path == "/invocation/next":
            await self._next(exchange)
        elif path == "/restore/next":
            await exchange.respond(200, [])
        elif path in ("/init/error", "/restore/error"):
            await exchange.read(MAX_PAYLOAD)
            await exchange.respond(202, [])
        elif invocation and path == f"/invocation/{invocation.id}/response":
            await self._response(exchange, invocation)
        elif invocation and path == f"/invocation/{invocation.id}/error":
            self._finish(FunctionFailed(Reason.ERROR, _error_message(await exchange.read(MAX_PAYLOAD))))
            await exchange.respond(202, [])
        else:
            await exchange.respond(404, [])

    async def _next(self, exchange: Exchange) -> None:
        self._finish(FunctionFailed(Reason.ERROR))  # asking for more without an answer is a failure of the runtime
        invocation = await self._pool.next_for(self)
        if invocation.finished:  # the process died between being chosen and being told
            return None
        self._line = exchange
        timeout = self._config.timeout
        self._timer = asyncio.get_running_loop().call_later(timeout, self._expire)
        headers = [
            ("Lambda-Runtime-Aws-Request-Id", invocation.id),
            ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + timeout) * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self._config.arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id),
            ("Content-Type", "application/json"),
        ]
        return await exchange.respond(200, headers, invocation.event)

    async def _response(self, exchange: Exchange, invocation: Invocation) -> None:
        failure: FunctionFailed | None = None
        try:
            async for chunk in exchange.body():
                invocation.feed(chunk)
            if _ERROR_TYPE in exchange.trailers:
                failure = FunctionFailed(Reason.ERROR)
        except Disconnected:
            failure = FunctionFailed(Reason.CRASH)
        self._finish(failure)
        await exchange.respond(202, [])

    def _expire(self) -> None:
        self._finish(FunctionFailed(Reason.TIMEOUT))
        self.kill()

    def _finish(self, failure: FunctionFailed | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self.current:
            self.current.finish(failure)
        self.current = self._timer = None


def _error_message(payload: bytes) -> str:
    with suppress(ValueError, AttributeError):
        return str(json.loads(payload).get("errorMessage", ""))
    return ""


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends a worker with its edge, even on SIGKILL.

    Elsewhere a worker ends by itself: its runtime cannot poll for work any more, and exits.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the edge ended between fork and prctl
            os._exit(1)

    return in_child
