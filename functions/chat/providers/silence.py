"""Waiting for an upstream that is silent: by the socket's own readiness, with no thread and nothing held back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from chat.providers.base import HEARTBEAT_SECONDS, Idle
from chatapi.aws.errors import TransportError
from chatapi.aws.transport import Response


def idle(response: Response, deadline: float, read_timeout: float) -> Iterator[Idle]:
    """Wait until there is something to read; an Idle after each HEARTBEAT_SECONDS of silence.

    Ends with `read_timeout` seconds of silence or at `deadline` (monotonic) at the latest: then reading fails.
    """
    until = time.monotonic() + remaining(deadline, read_timeout)
    while True:
        left = until - time.monotonic()
        if left <= HEARTBEAT_SECONDS or response.wait(HEARTBEAT_SECONDS):
            return
        yield Idle()


def remaining(deadline: float, read_timeout: float) -> float:
    """How long the next wait may be. TransportError once the deadline has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TransportError(sent=True, timed_out=True)
    return min(left, read_timeout)
