"""Lambda's Runtime API over one persistent connection (AWS: "Using the Lambda runtime API for custom runtimes")."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from chatapi_runtime.connection import Connection, NotHttp

ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
_BASE = "/2018-06-01/runtime"
_STREAMING = {
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    "Trailer": f"{ERROR_TYPE}, {ERROR_BODY}",
}

TransportError = (OSError, NotHttp)
"""What a lost connection to the Runtime API raises."""


def error_body(error_type: str, message: str) -> bytes:
    """Lambda's error shape. ``message`` is a fixed text: an exception's own could hold what a user sent."""
    return json.dumps({"errorMessage": message, "errorType": error_type, "stackTrace": []}).encode()


class RuntimeClient:
    """One client per process; not thread safe, since Lambda hands a process one invocation at a time."""

    def __init__(self, address: str) -> None:
        self._connection = Connection(address)

    def next_invocation(self) -> tuple[dict[str, str], bytes]:
        """Wait for the next event; returns its headers, names in lower case, and JSON."""
        return self._get("/invocation/next")

    def wait_for_restore(self) -> None:
        """Tell SnapStart that init is done; returns in the restored process."""
        self._get("/restore/next")

    def post_error(self, path: str, error_type: str, message: str) -> None:
        """Report a failure before any response; ``path`` is ``/init/error``, ``/restore/error`` or an invocation's."""
        headers = {"Content-Type": "application/vnd.aws.lambda.error+json", ERROR_TYPE: error_type}
        self._connection.request("POST", _BASE + path, headers, error_body(error_type, message))
        self._read_answer()

    def stream(
        self, request_id: str, prelude: bytes, body: Iterator[bytes], failed: Callable[[Exception], str]
    ) -> None:
        """Send ``prelude`` and then each item of ``body`` as a chunk of its own, at once.

        A failure of ``body`` is reported in the trailers, under the type that ``failed`` returns.

        Raises
        ------
        TransportError
            The Runtime API is gone; the rest of ``body`` was not taken.
        """
        connection = self._connection
        connection.request("POST", f"{_BASE}/invocation/{request_id}/response", _STREAMING)
        connection.send(_chunk(prelude))
        trailers = b""
        while True:
            try:
                chunk = _chunk(next(body))
            except StopIteration:
                break
            except Exception as failure:  # noqa: BLE001  # whatever the body raises ends in the trailers
                trailers = _trailers(failed(failure))
                break
            if chunk:
                connection.send(chunk)
        connection.send(b"0\r\n" + trailers + b"\r\n")
        self._read_answer()

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        self._connection.close()

    def _get(self, path: str) -> tuple[dict[str, str], bytes]:
        try:
            return self._exchange(path)
        except TransportError:
            # A kept connection may have gone stale while frozen; a second failure means that the sandbox is gone.
            self.close()
            return self._exchange(path)

    def _exchange(self, path: str) -> tuple[dict[str, str], bytes]:
        self._connection.request("GET", _BASE + path, {})
        return self._read_answer()

    def _read_answer(self) -> tuple[dict[str, str], bytes]:
        status, headers, payload = self._connection.answer()
        if status >= 300:
            raise NotHttp
        return headers, payload


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""  # an empty chunk would end the body


def _trailers(error_type: str) -> bytes:
    encoded = base64.b64encode(error_body(error_type, "The response ended early."))
    return b"%b: %b\r\n%b: %b\r\n" % (ERROR_TYPE.encode(), error_type.encode(), ERROR_BODY.encode(), encoded)
