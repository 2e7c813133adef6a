"""The request bodies of /v1/responses and /v1/conversations, as OpenAI's clients send them.

Unknown fields are accepted and ignored, known ones are strict, and what is known but not offered here (hosted tools,
background work, …) is a 400 that names it. What is valid goes on as plain dictionaries.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
)
from typing_extensions import TypedDict

from chat.wire import DataHandling, Free, Name, refusal

Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Person = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
M = TypeVar("M", bound=BaseModel)


def _data_url(url: str) -> str:
    """Only what is in the request: fetching an address would send the server where the caller points (OWASP, SSRF)."""
    if not url.startswith("data:"):
        raise ValueError("not a data URL")
    return url


class TextPart(TypedDict):
    """Text, of either side."""

    type: Literal["input_text", "output_text"]
    text: str


class RefusalPart(TypedDict):
    """A refusal that an assistant gave before."""

    type: Literal["refusal"]
    refusal: str


class ImagePart(TypedDict):
    """An image as a data URL."""

    type: Literal["input_image"]
    image_url: Annotated[str, AfterValidator(_data_url)]
    detail: NotRequired[Literal["low", "high", "auto", "original"] | None]


class FilePart(TypedDict):
    """A file as a data URL (or base64, as the model takes it)."""

    type: Literal["input_file"]
    file_data: str
    filename: NotRequired[str | None]


def _type_of(value: Any) -> str:
    """The tag of a union: in brackets, so that in an error's location it is not taken for the name of a field."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if isinstance(kind, str) else "<>"


Part = Annotated[
    Annotated[TextPart, Tag("<input_text>")]
    | Annotated[TextPart, Tag("<output_text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<input_image>")]
    | Annotated[FilePart, Tag("<input_file>")],
    Discriminator(_type_of),
]
# fail_fast: an error for each of millions of wrong items would take more memory than the function has.
Parts = Annotated[list[Part], Field(fail_fast=True, max_length=4096)]


class Message(TypedDict):
    """A message, in its easy form (a role and a content) or as an item that was answered before."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Parts


class FunctionCall(TypedDict):
    """A call that the model made."""

    type: Literal["function_call"]
    call_id: Id
    name: Name
    arguments: str


class FunctionCallOutput(TypedDict):
    """What came of a call."""

    type: Literal["function_call_output"]
    call_id: Id
    output: str | Parts


class ItemReference(TypedDict):
    """An item that is stored: of a response, or of the conversation that the request names."""

    id: Id


def _kind_of(item: Any) -> str:
    """The type of an input item; it may be left out of messages and of references."""
    if isinstance(item, dict) and item.get("type") is None:
        return "<message>" if "role" in item else "<item_reference>"
    return _type_of(item)


Item = Annotated[
    Annotated[Message, Tag("<message>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")]
    | Annotated[ItemReference, Tag("<item_reference>")],
    Discriminator(_kind_of),
]
StoredItem = Annotated[
    Annotated[Message, Tag("<message>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")],
    Discriminator(_kind_of),
]


class Tool(TypedDict):
    """A function that the model may call, in the flat shape. Hosted tools are refused by their type."""

    type: Literal["function"]
    name: Name
    description: NotRequired[str | None]
    parameters: NotRequired[Free | None]
    strict: NotRequired[bool | None]


class NamedFunction(TypedDict):
    """A function by its name."""

    type: Literal["function"]
    name: Name


class AllowedTools(TypedDict):
    """Some of the tools alone."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedFunction], Field(min_length=1, max_length=128)]


class TextFormat(TypedDict):
    """Plain text, or some JSON."""

    type: Literal["text", "json_object"]


class JsonSchema(TypedDict):
    """JSON after a schema."""

    type: Literal["json_schema"]
    name: Name
    schema: Free
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class Text(_Strict):
    """`text`."""

    format: Annotated[
        Annotated[TextFormat, Tag("<text>")]
        | Annotated[TextFormat, Tag("<json_object>")]
        | Annotated[JsonSchema, Tag("<json_schema>")],
        Discriminator(_type_of),
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
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | AllowedTools | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    metadata: Metadata | None = None
    truncation: Literal["disabled"] | None = None
    # Each asks for something beside what there always is; of these there is never any to leave out.
    include: (
        list[
            Literal[
                "reasoning.encrypted_content",
                "message.input_image.image_url",
                "file_search_call.results",
                "web_search_call.action.sources",
                "web_search_call.results",
                "code_interpreter_call.outputs",
                "computer_call_output.output.image_url",
            ]
        ]
        | None
    ) = None
    user: Person | None = None
    safety_identifier: Person | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory"] | None = None
    service_tier: Literal["auto", "default"] | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None  # of hosted tools, and there are none
    data_handling: DataHandling | None = None
    # Known and not offered.
    background: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    prompt: None = None
    moderation: None = None
    context_management: None = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation, given by its id or as an object."""
        return self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation

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
_ITEMS = (Message, FunctionCall, FunctionCallOutput, ItemReference, TextPart, RefusalPart, ImagePart, FilePart)
_CHOICES = (Tool, NamedFunction, AllowedTools, JsonSchema)
_KNOWN = frozenset(
    [name for body in _BODIES for name in body.model_fields]
    + [name for shape in (*_ITEMS, *_CHOICES) for name in shape.__annotations__]
)
_FREE = frozenset(("metadata", "parameters", "schema"))


def parse(shape: type[M], body: bytes) -> M:
    """A body of one of the shapes above. BadRequest with a stable code and the field's path."""
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        problem = refusal(error, known=_KNOWN, free=_FREE)
    # Raised outside the handler: as its context, pydantic's error would travel along, and it names the caller's keys.
    raise problem
