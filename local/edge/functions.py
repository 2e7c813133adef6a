"""Lambda on one machine: a pool of worker processes per function, one request per process at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.edge.invocation import FunctionFailed, Invocation, Reason
from local.edge.worker import FunctionConfig, Worker

QUEUE_SECONDS = 2.0
"""How long a request waits for a worker when all are busy (``queue_seconds`` in the configuration). Lambda refuses at
once; a laptop may breathe."""
_STOP_SECONDS = 3.0


class Function:
    """A function and its warm workers. ``invoke`` never blocks; the invocation carries every outcome."""

    def __init__(self, config: FunctionConfig, log_dir: Path, queue_seconds: float) -> None:
        self.config = config
        self._queue_seconds = queue_seconds
        self.log_path = log_dir / f"{config.name}.log"
        self._workers: set[Worker] = set()
        self._starting: set[Worker] = set()
        self._idle: dict[Worker, asyncio.Future[Invocation]] = {}
        self._waiting: deque[Invocation] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def invoke(self, event: bytes, trace_id: str = "") -> Invocation:
        """Hand ``event`` (JSON) to a warm worker, or to a new one while there are fewer than ``max_workers``."""
        invocation = Invocation(event, trace_id)
        if self._idle:
            worker, asking = self._idle.popitem()  # the last to become idle is the warmest
            worker.current = invocation
            asking.set_result(invocation)
            return invocation
        self._waiting.append(invocation)
        self._scale()
        if self._coming() < len(self._waiting):
            asyncio.get_running_loop().call_later(self._queue_seconds, self._expire, invocation)
        return invocation

    async def next_for(self, worker: Worker) -> Invocation:
        """The next invocation for ``worker``, which is free now."""
        self._starting.discard(worker)
        while self._waiting:
            invocation = self._waiting.popleft()
            if not invocation.finished:
                worker.current = invocation
                return invocation
        future: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._idle[worker] = future
        try:
            return await future
        finally:
            self._idle.pop(worker, None)

    async def close(self) -> None:
        """End every worker: in order, so that a stream can settle, then by SIGKILL."""
        self._closed = True
        for worker in self._workers:
            worker.terminate()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for worker in self._workers:
            worker.kill()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)

    def _coming(self) -> int:
        """Workers about to ask for work: those that start, and those that have just answered.

        A client that sends one request after the other must meet its warm worker, not a cold start.
        """
        busy = sum(worker.current is not None for worker in self._workers)
        return len(self._workers) - len(self._idle) - busy

    def _scale(self) -> None:
        while self._coming() < len(self._waiting) and len(self._workers) < self.config.max_workers and not self._closed:
            worker = Worker(self)
            self._workers.add(worker)
            self._starting.add(worker)
            task = asyncio.create_task(self._live(worker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _live(self, worker: Worker) -> None:
        """The life of one worker. One that dies before it asks for work takes the oldest waiting request with it,
        so that a function that cannot start fails requests instead of starting for ever."""
        reason = Reason.INIT
        try:
            await worker.run()
        except OSError:
            reason = Reason.UNAVAILABLE
        finally:
            self._workers.discard(worker)
            if idle := self._idle.pop(worker, None):
                idle.cancel()
            if worker in self._starting:
                self._starting.discard(worker)
                if self._waiting:
                    self._waiting.popleft().finish(FunctionFailed(reason))
            self._scale()

    def _expire(self, invocation: Invocation) -> None:
        if invocation in self._waiting:
            self._waiting.remove(invocation)
            invocation.finish(FunctionFailed(Reason.THROTTLED))


def functions_from(config: Mapping[str, Any], log_dir: Path) -> dict[str, Function]:
    """The functions that the edge's configuration names, by logical id."""
    queue_seconds = float(config.get("queue_seconds", QUEUE_SECONDS))
    return {
        name: Function(FunctionConfig.parse(name, item, config), log_dir, queue_seconds)
        for name, item in config["functions"].items()
    }
