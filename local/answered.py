"""What of OpenAI's types is answered here: which of them, and what of each never occurs, is null, narrower or ours.

The register behind the published description (`local.answers` cuts the types by it).
"""

from __future__ import annotations

from typing import Any

from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionDeleted
from openai.types.chat import ChatCompletionStoreMessage as StoreMessage
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem, ConversationItemList
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent

REF = "#/components/schemas/"

ANSWERS: dict[str, Any] = {
    "ChatCompletion": ChatCompletion,
    "ChatCompletionChunk": ChatCompletionChunk,
    "ChatCompletionDeleted": ChatCompletionDeleted,
    "ChatCompletionStoreMessage": StoreMessage,
    "CreateEmbeddingResponse": CreateEmbeddingResponse,
    "Model": Model,
    "Response": Response,
    "ResponseStreamEvent": ResponseStreamEvent,
    "ResponseItemList": ResponseItemList,
    "Conversation": Conversation,
    "ConversationItem": ConversationItem,
    "ConversationItemList": ConversationItemList,
    "ConversationDeletedResource": ConversationDeletedResource,
}
"""What is answered, by its name in the document. The rest of `made` is built of these."""

_ITEMS = (
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
)
_PARTS = (
    "output_text",
    "refusal",
    "reasoning_text",
    "summary_text",
    "input_text",
    "input_image",
    "input_file",
    "text",
    "image_url",
)
_CHOSEN = ("function", "custom", "allowed_tools", "json_object", "json_schema")
_EVENTS: tuple[str, ...] = (
    "created",
    "in_progress",
    "completed",
    "incomplete",
    "failed",
    "output_item.added",
    "output_item.done",
)
_EVENTS += ("content_part.added", "content_part.done", "output_text.delta", "output_text.done", "refusal.delta")
_EVENTS += ("refusal.done", "reasoning_text.delta", "reasoning_text.done", "function_call_arguments.delta")
_EVENTS += ("function_call_arguments.done", "custom_tool_call_input.delta", "custom_tool_call_input.done")
KINDS = frozenset([*_ITEMS, *_PARTS, *_CHOSEN, "error", *(f"response.{name}" for name in _EVENTS)])
"""The values of `type` that occur here. A union loses its other members."""
GONE = frozenset(
    {
        "audio",
        "function_call",
        "image",
        "input_transformations",
        "prompt_cache_diagnostics",
        "prompt_cache_options",
        "tool_usage",
        "user",
        "async",
        "caller",
        "namespace",
        "created_by",
        "allowed_callers",
        "defer_loading",
        "output_schema",
        "phase",
        "misalignment",
        "prompt_cache_breakpoint",
        "cache_write_tokens_details",
        "text_tokens",
        "image_tokens",
        "file_id",
        "file_url",
    }
)
"""Fields that no answer has."""
NULL = {"type": "null"}
NONE: dict[str, Any] = {"type": "array", "maxItems": 0}
TEXT_OR_NULL = {"type": ["string", "null"]}
_RECEIPT = {"$ref": REF + "DataHandlingReceipt"}
STORED: tuple[str, ...] = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "response_format",
)
"""What a stored completion has besides: OpenAI sends these, and its types do not name them."""

_CUSTOM_DELTA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""OpenAI sends it and its types for Node have it, those for Python do not (openai-python, issue 2530)."""
OURS: dict[str, dict[str, Any]] = {
    "ChatCompletion": {"data_handling": _RECEIPT},
    "ChatCompletionChunk": {"data_handling": _RECEIPT},
    "CreateEmbeddingResponse": {"data_handling": _RECEIPT},
    "Response": {"data_handling": _RECEIPT},
    "Model": {"chatapi": {"$ref": REF + "ModelFacts"}},
    "ChoiceDeltaToolCall": {"custom": _CUSTOM_DELTA},
}
"""The documented fields that OpenAI's types do not have (docs/chat.md)."""

NARROWER: dict[str, dict[str, Any]] = {
    "ChatCompletion": {"moderation": None, "metadata": None},
    "ChatCompletionChunk": {"moderation": None},
    "ChatCompletionMessage": {"annotations": NONE},
    "ChoiceDeltaToolCall": {"type": {"enum": ["function", "custom"]}},
    "Response": {
        "access_programs": NULL,
        "background": {"const": False},
        "instructions": TEXT_OR_NULL,
        "moderation": NULL,
        "prompt": NULL,
        "prompt_cache_key": NULL,
        "prompt_cache_retention": NULL,
        "safety_identifier": NULL,
        "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]},
    },
    "ResponseError": {"type": None, "param": None},
    "Reasoning": {"summary": NULL, "context": None, "generate_summary": None, "mode": None},
    "ResponseOutputText": {"annotations": NONE},
    "ResponseInputFile": {"detail": None},
    "ResponseFunctionToolCallOutputItem": {"name": None},
}
"""What fields of a type are here; None: none of it is there."""

OPTIONAL: dict[str, frozenset[str]] = {
    "ChatCompletionChunk": frozenset({"obfuscation", "usage"}),
    "ChatCompletionMessage": frozenset({"tool_calls"}),
    "ChoiceDelta": frozenset({"content", "refusal", "role", "tool_calls"}),
    "ChoiceDeltaToolCall": frozenset({"id", "type", "function"}),
    "ChoiceDeltaToolCallFunction": frozenset({"name"}),
    "ResponseFormatTextJSONSchemaConfig": frozenset({"description", "strict"}),
}
"""What may be left out. Everything else is always there, if null."""
