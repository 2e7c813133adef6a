"""The way to an OpenAI-compatible server: its address and API key, and what its refusals mean.

    request ─▶ 200                                  accepted
               400, 413, 422                        this request: ProviderRejected
               401 ─▶ key read again ─▶ once more   or, with the same key, ProviderMisconfigured
               402, 403, 404, 405, 410, 3xx, quota  the operator must act: ProviderMisconfigured
               400 for a model that it lacks        the same (LiteLLM)
               anything else, or no answer          ProviderUnavailable

No redirect is followed: the register says where requests go. No text of the server's leaves this file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from chat.providers.base import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
)
from chatapi.aws.errors import AwsError, AwsUnavailable, TransportError
from chatapi.aws.transport import Response, Transport

_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error")
_UNKNOWN_MODEL = b'"error":{"message":"/chat/completions: Invalid model name passed in'
"""LiteLLM's word for a model that it does not have. As its message begins: later in one, a caller may stand."""
_OPERATOR = frozenset({401, 402, 403, 404, 405, 410})
_KEY_AGE = 10.0
"""Seconds that a refused key is not read again for: a wrong one must not cost a call for each chat."""


class Server(Protocol):
    """Where requests go."""

    def send(self, target: str, body: bytes, accept: str, timeout: float, more: Mapping[str, str]) -> Response:
        """The response, once its status is 200; `more` are headers of this request. Raises ProviderUnavailable or
        ProviderRejected."""


class ApiKey:
    """The API key of a processor: read when it is first needed, and again when the provider does not take it.

    `read(fresh)` is the secret, from its store where it is to be `fresh`. The key is in no repr and in no error.
    """

    def __init__(self, read: Callable[[bool], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._renewed = float("-inf")

    def value(self, *, fresh: bool = False) -> str:
        """The key. ProviderMisconfigured where there is none that can be sent, ProviderUnavailable where it cannot be
        read at the moment."""
        try:
            key = self._read(fresh).decode("ascii").strip()
        except AwsUnavailable:
            failure: ProviderError = ProviderUnavailable(sent=False)
        except (AwsError, UnicodeDecodeError, KeyError):
            failure = ProviderMisconfigured(sent=False)
        else:
            if key and key.isprintable() and " " not in key:
                return key
            failure = ProviderMisconfigured(sent=False)
        raise failure  # outside the handler: a cause may quote the key

    def instead_of(self, refused: str) -> str | None:
        """The key that has taken the place of a refused one; None where there is none."""
        now = self._clock()
        fresh = now - self._renewed >= _KEY_AGE
        if fresh:
            self._renewed = now
        try:
            key = self.value(fresh=fresh)
        except ProviderUnavailable:
            return None
        return key if key != refused else None


class HttpServer:
    """A server at `base_url` (`https://host/v1`; `http` to this machine only), under an API key or without.

    `header` and `scheme` say where the key goes, `query` follows each path. `read_timeout` (seconds) bounds each wait.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey | None = None,
        *,
        header: str = "authorization",
        scheme: str = "Bearer ",
        query: str = "",
        read_timeout: float = 60.0,
    ) -> None:
        origin, _, rest = base_url.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        self._transport = Transport(f"{origin}://{host}", timeout=read_timeout)
        self._base = f"{slash}{path}"
        self._key = key
        self._header = header
        self._scheme = scheme
        self._query = f"?{query}" if query else ""
        self._read_timeout = read_timeout

    def send(self, target: str, body: bytes, accept: str, timeout: float, more: Mapping[str, str]) -> Response:
        """See Server. A refused key is read again, and the request sent once more where another one is there."""
        key = self._key.value() if self._key else None
        deadline = time.monotonic() + timeout
        headers = {
            "host": self._transport.host,
            "content-type": "application/json",
            "accept": accept,
            "cache-control": "no-store",
            "user-agent": "chatapi",
            **more,
        }
        answer = self._exchange(target, body, headers, key, timeout)
        if isinstance(answer, tuple) and answer[0] == 401 and self._key and key:
            renewed = self._key.instead_of(key)
            if renewed is not None:
                left = max(deadline - time.monotonic(), 0.001)
                answer = self._exchange(target, body, headers, renewed, left) or True  # the first one was sent
        if isinstance(answer, Response):
            return answer
        raise refused(*answer) if isinstance(answer, tuple) else ProviderUnavailable(sent=answer)

    def _exchange(
        self, target: str, body: bytes, headers: dict[str, str], key: str | None, timeout: float
    ) -> Response | tuple[int, bytes] | bool:
        """A response of status 200, the status and body of another one; without any, whether the request was sent."""
        if key is not None:
            headers = {**headers, self._header: self._scheme + key}
        wait = min(timeout, self._read_timeout)
        try:
            response = self._transport.send("POST", self._base + target + self._query, headers, body, timeout=wait)
            return response if response.status == 200 else (response.status, response.read())
        except TransportError as error:
            return error.sent


def refused(status: int, body: bytes) -> ProviderError:
    """What a refusal of OpenAI's shape means."""
    if status == 400 and _UNKNOWN_MODEL in body:
        return ProviderMisconfigured()
    if status in (400, 413, 422):
        return ProviderRejected(_reason(body))
    if status == 500 and b"is too large to process" in body:  # llama.cpp's word for an input that it cannot embed
        return ProviderRejected(Rejection.CONTEXT_LENGTH)
    if status in _OPERATOR or 300 <= status < 400 or _code(body) == "insufficient_quota":
        return ProviderMisconfigured()
    return ProviderUnavailable()


def _reason(body: bytes) -> Rejection:
    """By the code where there is one (OpenAI, Azure, llama.cpp), else by the words that others (vLLM) use for it."""
    try:
        error = json.loads(body)["error"]
        if error.get("code") == "content_filter":
            return Rejection.CONTENT_FILTER
        known = error.get("code") in _CONTEXT_CODES or error.get("type") in _CONTEXT_CODES
        if known or any(words in str(error.get("message")) for words in ("context length", "context size")):
            return Rejection.CONTEXT_LENGTH
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return Rejection.BAD_REQUEST


def _code(body: bytes) -> object:
    try:
        return json.loads(body)["error"]["code"]
    except (ValueError, TypeError, KeyError):
        return None
