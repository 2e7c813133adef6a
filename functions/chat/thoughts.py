"""What a model thought and its provider signed, on its way from one turn to the next.

    Converse's block ─▶ sealed ─▶ the reasoning item's `encrypted_content` ─▶ opened ─▶ the same block, unchanged

A model of Anthropic's refuses the result of a tool without the signed thought that led to the call (Amazon Bedrock API
reference, "ReasoningTextBlock"). A caller carries it, so it is sealed under a key of the project: nobody can make one
up and send the model past redaction what it must not see, and none leads to another project or another model. Where
redaction is in force nothing is sealed or opened: in what is signed or encrypted nobody could look for values.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from chat.providers.base import Event, Reasoning, Sealed, Signed, Stream, Text, ToolStart

THOUGHTS = "thoughts"
"""The field of a message, behind validation and in no request: pairs of a position and a sealed thought."""
BLOCKS = "reasoning"
"""The same in a provider's call, opened: pairs of a position and a block of Converse's."""
_VERSION = "cht1_"
_NONCE = 12


class Thoughts:
    """Seals and opens the thoughts of a model, `upstream`, under a secret of the project."""

    def __init__(self, secret: str, upstream: str) -> None:
        self._key = sha256(b"chatapi/thoughts/v1" + secret.encode()).digest()
        self._bound = upstream.encode()

    def seal(self, block: Mapping[str, Any]) -> str:
        """A block as the caller carries it."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # few models sign, and the rest waits for none

        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self._key).encrypt(nonce, json.dumps(block).encode(), self._bound)
        return _VERSION + base64.urlsafe_b64encode(nonce + sealed).decode()

    def opened(self, token: str) -> dict[str, Any] | None:
        """The block; None for what is not ours, of another project or of another model: it goes to none."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not token.startswith(_VERSION):
            return None
        try:
            raw = base64.urlsafe_b64decode(token.removeprefix(_VERSION).encode("ascii"))
            block: dict[str, Any] = json.loads(AESGCM(self._key).decrypt(raw[:_NONCE], raw[_NONCE:], self._bound))
        except (InvalidTag, ValueError):
            return None
        return block


class Sealing:
    """The stream of a model whose thoughts may be signed: behind each that is stands what the caller carries."""

    def __init__(self, stream: Stream, thoughts: Thoughts) -> None:
        self._stream = stream
        self._thoughts = thoughts

    def __iter__(self) -> Iterator[Event]:
        """The events. Raises ProviderBroken."""
        thought: list[str] = []
        for event in self._stream:
            match event:
                case Reasoning(text):
                    thought.append(text)
                case Text() | ToolStart():
                    thought.clear()
                case Signed(value, redacted):
                    told = {"reasoningText": {"text": "".join(thought), "signature": value}}
                    yield Sealed(self._thoughts.seal({"redactedContent": value} if redacted else told))
                    thought.clear()
                    continue
            yield event

    def close(self) -> None:
        """Stop the upstream."""
        self._stream.close()


def thinking(messages: Sequence[dict[str, Any]], thoughts: Callable[[], Thoughts] | None) -> tuple[dict[str, Any], ...]:
    """The messages of a provider's call with their thoughts opened; without them where `thoughts` is None, since no
    other provider takes any."""
    if not any(THOUGHTS in message for message in messages):
        return tuple(messages)
    opener = thoughts() if thoughts else None
    return tuple(_thinking(message, opener) if THOUGHTS in message else message for message in messages)


def _thinking(message: dict[str, Any], thoughts: Thoughts | None) -> dict[str, Any]:
    out = {name: value for name, value in message.items() if name != THOUGHTS}
    found = [(at, thoughts.opened(token)) for at, token in message[THOUGHTS]] if thoughts else []
    blocks = [(at, block) for at, block in found if block is not None]
    return {**out, BLOCKS: blocks} if blocks else out
