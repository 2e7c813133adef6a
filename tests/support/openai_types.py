"""Strict validation against the openai package's own types, which are generated from OpenAI's specification.

openai-python builds its responses without validating them, so a client would not notice a wrong one. Here each object
must validate strictly, carry every field of its type (those of `MAY_LACK` excepted) and none besides: `OURS` are the
documented ones (docs/chat.md).
"""

from __future__ import annotations

from typing import Any, get_args

from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionDeleted
from pydantic import BaseModel

MAY_LACK = {
    "ChatCompletion": {"metadata", "moderation"},  # metadata: of stored completions
    "ChatCompletionChunk": {"moderation", "obfuscation", "usage"},  # the last two where they were asked for
    "ChatCompletionMessage": {"audio", "function_call", "tool_calls"},
    "ChoiceDelta": {"audio", "content", "function_call", "refusal", "role", "tool_calls"},  # a delta is a part
    "ChoiceDeltaToolCall": {"id", "type"},
    "ChoiceDeltaToolCallFunction": {"name"},
    "CompletionTokensDetails": {"text_tokens"},
    "PromptTokensDetails": {"image_tokens", "text_tokens"},
}
OURS = {
    "ChatCompletion": {"data_handling"},
    "ChatCompletionChunk": {"data_handling"},
    "CreateEmbeddingResponse": {"data_handling"},
    "Model": {"chatapi"},
}
STORED = {
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "response_format",
}
"""OpenAI sends these with stored completions; its specification does not name them."""


def chat_completion(value: Any, *, stored: bool = False) -> None:
    """A completion."""
    _check(ChatCompletion, value, STORED if stored else set())


def chunk(value: Any) -> None:
    """An event of a stream."""
    _check(ChatCompletionChunk, value)


def model(value: Any) -> None:
    """An entry of /v1/models."""
    _check(Model, value)


def deleted(value: Any) -> None:
    """What a deletion answers."""
    _check(ChatCompletionDeleted, value)


def embeddings(value: Any) -> None:
    """What /v1/embeddings answers."""
    _check(CreateEmbeddingResponse, value)


def error(value: Any) -> None:
    """A refusal: one wrapper, four keys, texts or null."""
    assert set(value) == {"error"}
    assert set(value["error"]) == {"message", "type", "param", "code"}
    assert isinstance(value["error"]["message"], str)
    assert isinstance(value["error"]["type"], str)
    assert all(isinstance(value["error"][name], str | None) for name in ("param", "code"))


def _check(kind: type[BaseModel], value: Any, more: frozenset[str] | set[str] = frozenset()) -> None:
    kind.model_validate(value, strict=True)
    _fields(kind, value, more)


def _fields(kind: type[BaseModel], value: dict[str, Any], more: frozenset[str] | set[str] = frozenset()) -> None:
    name, known = kind.__name__, set(kind.model_fields)
    missing = known - set(value) - MAY_LACK.get(name, set())
    assert not missing, f"{name} lacks {sorted(missing)}"
    unknown = set(value) - known - OURS.get(name, set()) - more
    assert not unknown, f"{name} has {sorted(unknown)}"
    for field, info in kind.model_fields.items():
        _inner(info.annotation, value.get(field))


def _inner(annotation: Any, value: Any) -> None:
    """Go down into the models of a field. Of a union, into the one whose fields fit."""
    if isinstance(value, list):
        for item in value:
            _inner(annotation, item)
    elif isinstance(value, dict):
        kinds = [kind for kind in _models(annotation) if _fits(kind, value)]
        if kinds:
            _fields(kinds[0], value)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for inner in get_args(annotation) for kind in _models(inner)]


def _fits(kind: type[BaseModel], value: dict[str, Any]) -> bool:
    tag = kind.model_fields.get("type")
    return tag is None or "type" not in value or value["type"] in get_args(tag.annotation)


__all__ = ["chat_completion", "chunk", "deleted", "embeddings", "error", "model"]
