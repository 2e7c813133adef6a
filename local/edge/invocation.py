"""One invocation of a function: the event on its way in, the bytes of the response on their way out."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum

MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of a buffered request or response (AWS: "Lambda quotas")."""


class Reason(Enum):
    """Why an invocation gave no (whole) response."""

    ERROR = "the function failed"
    INIT = "the function could not be loaded"
    CRASH = "the process ended in mid-request"
    TIMEOUT = "the function ran out of time"
    THROTTLED = "no worker was free in time"
    UNAVAILABLE = "no worker could be started"


class FunctionFailed(Exception):
    """The text is the reason's. ``error_message`` came from the function: compare it, never show or log it."""

    def __init__(self, reason: Reason, error_message: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.error_message = error_message


class Invocation:
    """Fed by a worker, read by the gateway. The reader may abandon it; the worker goes on to its end all the same.

    Nothing holds the worker back: a slow client costs memory here, not time in the function.
    """

    def __init__(self, event: bytes, trace_id: str = "") -> None:
        self.id = str(uuid.uuid4())
        self.event = event
        self.trace_id = trace_id
        self.finished = False
        self._failure: FunctionFailed | None = None
        self._chunks: deque[bytes] = deque()
        self._abandoned = False
        self._more: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Bytes of the response."""
        if not self._abandoned:
            self._chunks.append(data)
            self._wake()

    def finish(self, failure: FunctionFailed | None = None) -> None:
        """The end, good or bad; only the first call counts."""
        if not self.finished:
            self.finished, self._failure = True, failure
            self._wake()

    def abandon(self) -> None:
        """Nobody reads any more: drop what comes."""
        self._abandoned = True
        self._chunks.clear()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The response as it arrives. FunctionFailed after what came before the failure."""
        while True:
            while self._chunks:
                yield self._chunks.popleft()
            if self.finished:
                break
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        if self._failure:
            raise self._failure

    async def read(self) -> bytes:
        """The whole response; FunctionFailed also when it is above ``MAX_PAYLOAD``."""
        data = b"".join([chunk async for chunk in self.chunks()])
        if len(data) > MAX_PAYLOAD:
            raise FunctionFailed(Reason.ERROR)
        return data

    def _wake(self) -> None:
        if self._more and not self._more.done():
            self._more.set_result(None)
