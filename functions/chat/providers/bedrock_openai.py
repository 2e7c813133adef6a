"""Bedrock's own OpenAI endpoint (Amazon Bedrock User Guide, "Invoke a model with the OpenAI Chat Completions API").

`bedrock-runtime.REGION.amazonaws.com/openai/v1`, signed like every call of ours: no API key exists that could leak.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chat.providers.base import Event, Idle, ProviderUnavailable, Reasoning, Text
from chat.providers.server import refused
from chatapi.aws import AwsClient, AwsUnavailable
from chatapi.aws.errors import TransportError
from chatapi.aws.transport import Response

_OPEN, _CLOSE = "<reasoning>", "</reasoning>"


class BedrockServer:
    """The endpoint, through a client of `bedrock-runtime`. `read_timeout` (seconds) bounds each wait for bytes."""

    def __init__(self, client: AwsClient, *, read_timeout: float = 60.0) -> None:
        self._client = client
        self._read_timeout = read_timeout

    def send(self, target: str, body: bytes, accept: str, timeout: float, more: Mapping[str, str]) -> Response:
        """See chat.providers.server.Server."""
        headers = {"content-type": "application/json", "accept": accept, **more}
        wait, failure = min(timeout, self._read_timeout), ProviderUnavailable()
        try:
            status, _, response = self._client.open("POST", "/openai/v1" + target, body, headers, timeout=wait)
            if status == 200:
                return response
            refusal = response.read()
        except (AwsUnavailable, TransportError):
            pass
        else:
            raise refused(status, refusal)
        raise failure  # outside the handler: a cause may quote content


def untagged(events: Iterator[Event]) -> Iterator[Event]:
    """What the endpoint writes between <reasoning> and </reasoning> before an answer is no part of the answer.

    It wraps each piece in both tags; a tag that is cut in two is understood as well. Once the answer has begun, tags
    are the model's own words.
    """
    held, inside, answering = "", False, False
    for event in events:
        if answering or isinstance(event, Idle):
            yield event
            continue
        if not isinstance(event, Text):
            if held:
                yield Reasoning(held) if inside else Text(held)
                held = ""
            yield event
            continue
        held += event.text
        while held:
            if inside:
                thought, closed, rest = held.partition(_CLOSE)
                kept = 0 if closed else _overlap(held, _CLOSE)
                if thought[: len(thought) - kept]:
                    yield Reasoning(thought[: len(thought) - kept])
                held, inside = (rest, False) if closed else (held[len(held) - kept :], True)
                if not closed:
                    break
            elif held.startswith(_OPEN):
                held, inside = held[len(_OPEN) :], True
            elif _OPEN.startswith(held):
                break
            else:
                yield Text(held, event.logprobs)
                held, answering = "", True
    if held:
        yield Reasoning(held) if inside else Text(held)


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
