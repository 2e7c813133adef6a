"""The request bodies of /v1/responses and /v1/conversations, as OpenAI's clients send them.

Unknown fields are accepted and ignored, known ones are strict, and what is known but not offered here (hosted tools,
background work, …) is a 400 that names it. What is valid goes on as plain dictionaries.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Discriminator, Field, Tag

from chat.responses.shapes import (
    AllowedTools,
    CustomFormat,
    CustomTool,
    CustomToolCall,
    CustomToolCallOutput,
    FilePart,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Id,
    ImagePart,
    Item,
    ItemReference,
    JsonSchema,
    Message,
    NamedTool,
    Person,
    ReasoningText,
    RefusalPart,
    StoredItem,
    SummaryText,
    TextFormat,
    TextPart,
    Tool,
    type_of,
)
from chat.responses.shapes import Reasoning as ReasoningItem
from chat.shapes import Metadata, Name
from chat.wire import DataHandling
from chatapi.bodies import parsed
from chatapi.strict import STRICT

M = TypeVar("M", bound=BaseModel)


Included = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
]
"""Each asks for something beside what there always is; of all but the first there is never any to leave out."""


class _Strict(BaseModel):
    model_config = STRICT


class Text(_Strict):
    """`text`."""

    format: Annotated[
        Annotated[TextFormat, Tag("<text>")]
        | Annotated[TextFormat, Tag("<json_object>")]
        | Annotated[JsonSchema, Tag("<json_schema>")],
        Discriminator(type_of),
    ] = Field(default_factory=lambda: TextFormat(type="text"))
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(_Strict):
    """`reasoning`. Summaries are not offered."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: None = None
    generate_summary: None = None


class StreamOptions(_Strict):
    """`stream_options`. Deltas are padded where it is asked for."""

    include_obfuscation: bool | None = None


class ConversationRef(_Strict):
    """`conversation` as an object."""

    id: Id


class ResponseCreate(_Strict):
    """The body of POST /v1/responses."""

    model: Name
    input: str | Annotated[list[Item], Field(max_length=4096, fail_fast=True)] | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    previous_response_id: Id | None = None
    conversation: Id | ConversationRef | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | AllowedTools | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    metadata: Metadata | None = None
    truncation: Literal["auto", "disabled"] | None = None
    include: Annotated[list[Included], Field(fail_fast=True)] | None = None
    user: Person | None = None
    safety_identifier: Person | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory"] | None = None
    service_tier: Literal["auto", "default"] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None  # of hosted tools, and there are none
    data_handling: DataHandling | None = None
    # Known and not offered.
    background: Literal[False] | None = None
    prompt: None = None
    moderation: None = None
    context_management: None = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation, given by its id or as an object."""
        return self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation

    @property
    def logprobs(self) -> bool:
        """Whether the logarithmic probabilities of the answer's tokens are asked for."""
        return "message.output_text.logprobs" in (self.include or ())

    @property
    def keeps_items(self) -> bool:
        """Whether input and output are added to a conversation: always, unless `store` is expressly false."""
        return self.conversation is not None and self.store is not False


class ConversationCreate(_Strict):
    """The body of POST /v1/conversations. `user` and `safety_identifier` are ours: whose data it will be."""

    items: Annotated[list[StoredItem], Field(max_length=20, fail_fast=True)] | None = None
    metadata: Metadata | None = None
    user: Person | None = None
    safety_identifier: Person | None = None


class ConversationUpdate(_Strict):
    """The body of POST /v1/conversations/{id}."""

    metadata: Metadata | None


class ItemsCreate(_Strict):
    """The body of POST /v1/conversations/{id}/items. `user` and `safety_identifier` as in ConversationCreate."""

    items: Annotated[list[StoredItem], Field(min_length=1, max_length=20, fail_fast=True)]
    user: Person | None = None
    safety_identifier: Person | None = None


_BODIES = (
    ResponseCreate,
    DataHandling,
    StreamOptions,
    Text,
    Reasoning,
    ConversationRef,
    ConversationCreate,
    ItemsCreate,
)
_ITEMS = (Message, FunctionCall, FunctionCallOutput, CustomToolCall, CustomToolCallOutput, ReasoningItem, ItemReference)
_PARTS = (TextPart, RefusalPart, ImagePart, FilePart, SummaryText, ReasoningText)
_CHOICES = (FunctionTool, CustomTool, CustomFormat, NamedTool, AllowedTools, JsonSchema)
_KNOWN = frozenset(
    [name for body in _BODIES for name in body.model_fields]
    + [name for shape in (*_ITEMS, *_PARTS, *_CHOICES) for name in shape.__annotations__]
)
_FREE = frozenset(("metadata", "parameters", "schema"))


def parse(shape: type[M], body: bytes) -> M:
    """A body of one of the shapes above. BadRequest with a stable code and the field's path."""
    return parsed(shape, body, known=_KNOWN, free=_FREE)
