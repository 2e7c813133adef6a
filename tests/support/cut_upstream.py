"""An upstream whose answer ends anywhere: the shipped adapters over bytes that were given, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chat.providers.bedrock import BedrockProvider
from chat.providers.dialects import DIALECTS
from chat.providers.openai_http import OpenAIProvider
from chatapi.aws import AwsClient
from chatapi.aws.errors import TransportError
from chatapi.aws.transport import Response


class Cut(NamedTuple):
    """The first `end` bytes of `wire`, read `size` at a time. `clean`: the body ends there as if that were all of it;
    otherwise the connection broke."""

    wire: bytes
    end: int
    clean: bool
    size: int = 1 << 16


class CutResponse(Response):
    """A response of status 200 with a cut body."""

    def __init__(self, cut: Cut) -> None:
        self.status, self.headers = 200, {"content-type": "text/event-stream"}
        self._cut, self._at, self.closed = cut, 0, False

    def read1(self, *, timeout: float | None = None) -> bytes:
        """The next bytes, until the cut."""
        at, self._at = self._at, min(self._at + self._cut.size, self._cut.end)
        if at == self._at and not self._cut.clean:
            raise TransportError(sent=True, timed_out=False)
        return self._cut.wire[at : self._at]

    def wait(self, timeout: float) -> bool:
        """There is always something: bytes, the end or a failure."""
        return True

    def finish(self) -> None:
        """No connection is kept."""

    def close(self) -> None:
        """Hang up."""
        self.closed = True


class _Server:
    def __init__(self, cut: Cut) -> None:
        self._cut = cut

    def send(self, target: str, body: bytes, accept: str, timeout: float, more: Mapping[str, str]) -> Response:
        return CutResponse(self._cut)


class _Client(AwsClient):
    def __init__(self, cut: Cut) -> None:
        self._cut = cut

    def open(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[int, dict[str, str], Response]:
        return 200, {}, CutResponse(self._cut)


def openai(cut: Cut) -> OpenAIProvider:
    """The adapter of OpenAI-compatible servers, whose answer is `cut`."""
    return OpenAIProvider(_Server(cut), DIALECTS["llama.cpp"])


def bedrock(cut: Cut) -> BedrockProvider:
    """The adapter of ConverseStream, whose answer is `cut`."""
    return BedrockProvider(_Client(cut))
