"""What a streaming handler receives and returns."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
PRELUDE_END = b"\0" * 8
"""Parts the JSON prelude from the body (AWS: "Response streaming for Lambda proxy integrations")."""


class Response(NamedTuple):
    """An HTTP response whose body is produced while it is sent.

    ``body`` yields ``bytes``; each item becomes one chunk on the wire. The loop always closes it, so a generator's
    ``finally`` runs after the last byte, after a failure and after a broken connection alike.
    """

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]
    cookies: tuple[str, ...] = ()

    def prelude(self) -> bytes:
        """The bytes before the body: one JSON object and eight NUL bytes."""
        head: dict[str, Any] = {"statusCode": self.status, "headers": dict(self.headers)}
        if self.cookies:
            head["cookies"] = list(self.cookies)
        return _encode(head).encode() + PRELUDE_END


class Context(NamedTuple):
    """The invocation's context, named as in AWS's "Lambda context object in Python"."""

    aws_request_id: str
    deadline_ms: int
    invoked_function_arn: str

    @property
    def function_name(self) -> str:
        """The function's name."""
        return _env("AWS_LAMBDA_FUNCTION_NAME")

    @property
    def function_version(self) -> str:
        """The version that was invoked."""
        return _env("AWS_LAMBDA_FUNCTION_VERSION")

    @property
    def memory_limit_in_mb(self) -> str:
        """What the function may use, in MB."""
        return _env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")

    @property
    def log_group_name(self) -> str:
        """Where its log lies."""
        return _env("AWS_LAMBDA_LOG_GROUP_NAME")

    @property
    def log_stream_name(self) -> str:
        """The part of it that is this sandbox's."""
        return _env("AWS_LAMBDA_LOG_STREAM_NAME")

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation, never negative."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


def _env(name: str) -> str:
    return os.environ.get(name, "")


Handler: TypeAlias = Callable[[dict[str, Any], Context], Response]

_Hook = TypeVar("_Hook", bound=Callable[[], object])
restore_hooks: list[Callable[[], object]] = []


def after_restore(hook: _Hook) -> _Hook:
    """Register ``hook`` to run once after SnapStart has restored the process; usable as a decorator."""
    restore_hooks.append(hook)
    return hook
