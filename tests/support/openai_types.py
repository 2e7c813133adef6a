"""Chat completions and what is around them against the openai package's own types, as `strict` has it, and whole: each
object carries every field of its type, those of `MAY_LACK` excepted.
"""

from __future__ import annotations

from typing import Any

from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionDeleted
from pydantic import BaseModel

from local.answered import STORED
from tests.support.strict import described, models, strictly

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


def chat_completion(value: Any, *, stored: bool = False) -> None:
    """A completion."""
    _check(ChatCompletion, value, frozenset(STORED if stored else ()), "StoredChatCompletion" if stored else "")


def chunk(value: Any) -> None:
    """An event of a stream."""
    for call in [call for choice in value["choices"] for call in choice["delta"].get("tool_calls", ())]:
        if "custom" in call:  # which OpenAI sends and Node's types have, and Python's do not yet
            described("ChatCompletionChunk", value)
            return
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
    described("Error", value)
    assert set(value) == {"error"}
    assert set(value["error"]) == {"message", "type", "param", "code"}
    assert isinstance(value["error"]["message"], str)
    assert isinstance(value["error"]["type"], str)
    assert all(isinstance(value["error"][name], str | None) for name in ("param", "code"))


def _check(kind: type[BaseModel], value: Any, more: frozenset[str] = frozenset(), said: str = "") -> None:
    for _, found in models(strictly(kind, value, ours=frozenset(f".{name}" for name in more), name=said)):
        name = type(found).__name__
        missing = set(type(found).model_fields) - found.model_fields_set - MAY_LACK.get(name, set())
        assert not missing, f"{name} lacks {sorted(missing)}"


__all__ = ["chat_completion", "chunk", "deleted", "embeddings", "error", "model"]
