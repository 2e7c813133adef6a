"""Vectors from what an upstream answers, checked: as many as there were inputs, of one length, and finite numbers.

OpenAI API reference, "Create embeddings"; Amazon Bedrock User Guide, "Amazon Titan Embeddings G1 - Text" (V2's body).
"""

from __future__ import annotations

import base64
import json
import math
import sys
from array import array
from collections.abc import Iterator
from typing import Any

from chat.providers.base import (
    EmbedCall,
    Event,
    Finish,
    ProviderBroken,
    ProviderError,
    ProviderRejected,
    Usage,
    Vector,
    Vectors,
)

_LONGEST = 65_536
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


class Embedded:
    """The stream of an embedding: it is whole once it is accepted."""

    def __init__(self, vectors: tuple[Vector, ...], tokens: int) -> None:
        self._events: tuple[Event, ...] = (Vectors(vectors), Finish("stop"), Usage(tokens, 0))

    def __iter__(self) -> Iterator[Event]:
        """The vectors, Finish and Usage."""
        return iter(self._events)

    def close(self) -> None:
        """Nothing runs any more."""


class Spoilt:
    """The stream of an answer that is none: the upstream did the work, so it is counted and disclosed."""

    def __iter__(self) -> Iterator[Event]:
        """Raise ProviderBroken."""
        raise ProviderBroken

    def close(self) -> None:
        """Nothing runs any more."""


class Partly:
    """The stream of texts of which a later one failed: what the earlier ones used, and then the failure."""

    def __init__(self, tokens: int, error: ProviderError) -> None:
        self._tokens = tokens
        self._error = error

    def __iter__(self) -> Iterator[Event]:
        """Usage; then raise the rejection of a text, or ProviderBroken."""
        yield Usage(self._tokens, 0)
        raise self._error if isinstance(self._error, ProviderRejected) else ProviderBroken

    def close(self) -> None:
        """Nothing runs any more."""


def openai_body(call: EmbedCall, pseudonym: tuple[str, ...]) -> bytes:
    """The request, with the user's `pseudonym` where the server takes one: embeddings know `user` and no other field.
    Base64 is asked for, since it takes a quarter of the bytes; numbers are understood as well."""
    body: dict[str, Any] = {"model": call.model, "input": call.inputs, "encoding_format": "base64"}
    if pseudonym:
        body["user"] = call.user
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    return json.dumps(body, separators=(",", ":")).encode()


def openai_answer(raw: bytes, call: EmbedCall) -> Embedded | Spoilt:
    """The vectors in the order of the inputs, whatever the order of the answer."""
    try:
        told = json.loads(raw)
        placed = {int(entry["index"]): _vector(entry["embedding"]) for entry in told["data"]}
        vectors = tuple(placed[index] for index in range(len(call.inputs)))
        tokens = (told.get("usage") or {}).get("prompt_tokens")
        if len(told["data"]) != len(vectors):
            return Spoilt()
        return _checked(vectors, call, estimate(call) if tokens is None else int(tokens))
    except _MALFORMED:
        return Spoilt()


def titan_body(text: str, call: EmbedCall) -> bytes:
    """The request for one text: the model takes no more at a time."""
    body: dict[str, Any] = {"inputText": text, "normalize": True}
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    return json.dumps(body, separators=(",", ":")).encode()


def titan_answers(raw: list[bytes], call: EmbedCall) -> Embedded | Spoilt:
    """The vectors of one answer for each text."""
    try:
        told = [json.loads(each) for each in raw]
        vectors = tuple(_vector(each["embedding"]) for each in told)
        return _checked(vectors, call, sum(int(each["inputTextTokenCount"]) for each in told))
    except _MALFORMED:
        return Spoilt()


def titan_partly(raw: list[bytes], call: EmbedCall, error: ProviderError) -> Partly:
    """What the texts before the one that failed used; one that does not say is estimated."""
    return Partly(sum(map(_titan_tokens, raw, call.inputs)), error)


def _titan_tokens(raw: bytes, text: str | list[int]) -> int:
    try:
        return int(json.loads(raw)["inputTextTokenCount"])
    except _MALFORMED:
        return max(1, len(text) // 4)


def estimate(call: EmbedCall) -> int:
    """Tokens of the inputs, where nobody counted: one for each four characters."""
    return sum(max(1, len(each) // 4) if isinstance(each, str) else len(each) for each in call.inputs)


def _checked(vectors: tuple[Vector, ...], call: EmbedCall, tokens: int) -> Embedded | Spoilt:
    size = call.dimensions or len(vectors[0])
    fit = len(vectors) == len(call.inputs) and all(len(vector) == size for vector in vectors)
    return Embedded(vectors, tokens) if fit else Spoilt()


def _vector(value: Any) -> Vector:
    vector = array("f")
    if isinstance(value, str):
        vector.frombytes(base64.b64decode(value, validate=True))
        if sys.byteorder == "big":
            vector.byteswap()
    else:
        vector.extend(map(float, value))
    if not 0 < len(vector) <= _LONGEST or not all(map(math.isfinite, vector)):
        raise ValueError("not a vector")
    return vector
