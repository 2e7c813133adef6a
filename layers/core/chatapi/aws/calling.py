"""What a caller needs of an AWS client: AwsClient is one, and so is every test's own."""

from __future__ import annotations

from typing import Any, Protocol


class Caller(Protocol):
    """Calls the operations of a service."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class RestCaller(Protocol):
    """Sends requests to a service."""

    def open(self, method: str, target: str, body: bytes = b"", headers: Any = None) -> tuple[int, Any, Any]:
        """One REST call: status, headers, the response to read."""
        ...
