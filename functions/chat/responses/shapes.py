"""What the bodies of /v1/responses and /v1/conversations are made of: items, their parts, tools, formats."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from typing_extensions import TypedDict

from chat.checks import is_custom
from chat.shapes import Free, Name, SchemaName, ToolName
from chatapi.bodies import wrong

Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Person = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _data_url(url: str) -> str:
    """Only what is in the request: fetching an address would send the server where the caller points (OWASP, SSRF)."""
    if not url.startswith("data:"):
        raise wrong("Images and files are sent as data URLs: nothing is fetched from addresses or by ids.")
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
    """A file as a data URL."""

    type: Literal["input_file"]
    file_data: Annotated[str, AfterValidator(_data_url)]
    filename: NotRequired[str | None]


def type_of(value: Any) -> str:
    """The tag of a union: in brackets, so that in an error's location it is not taken for the name of a field."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if isinstance(kind, str) else "<>"


Part = Annotated[
    Annotated[TextPart, Tag("<input_text>")]
    | Annotated[TextPart, Tag("<output_text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<input_image>")]
    | Annotated[FilePart, Tag("<input_file>")],
    Discriminator(type_of),
]
Given = Annotated[
    Annotated[TextPart, Tag("<input_text>")]
    | Annotated[TextPart, Tag("<output_text>")]
    | Annotated[ImagePart, Tag("<input_image>")]
    | Annotated[FilePart, Tag("<input_file>")],
    Discriminator(type_of),
]
# fail_fast: an error for each of millions of wrong items would take more memory than the function has.
Parts = Annotated[list[Part], Field(fail_fast=True, max_length=4096)]
GivenParts = Annotated[list[Given], Field(fail_fast=True, max_length=4096)]
_OF_ASSISTANTS = frozenset({"input_text", "output_text", "refusal"})


class Message(TypedDict):
    """A message, in its easy form (a role and a content) or as an item that was answered before."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Parts


def _fitting_its_role(message: Any) -> Any:
    """Refuse what a role cannot have said: an assistant gives texts and refusals, the others anything but refusals. No
    item that is answered could hold it."""
    content, answers = message["content"], message["role"] == "assistant"
    for part in content if isinstance(content, list) else ():
        if (part["type"] not in _OF_ASSISTANTS) if answers else (part["type"] == "refusal"):
            raise wrong("An assistant's message has texts and refusals, another one anything but refusals.")
    return message


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
    output: str | GivenParts


class CustomToolCall(TypedDict):
    """A call of a custom tool that the model made."""

    type: Literal["custom_tool_call"]
    call_id: Id
    name: Name
    input: str


class CustomToolCallOutput(TypedDict):
    """What came of the call of a custom tool."""

    type: Literal["custom_tool_call_output"]
    call_id: Id
    output: str | GivenParts


class SummaryText(TypedDict):
    """A piece of a reasoning's summary. None is made here; one that was made elsewhere is kept."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(TypedDict):
    """A piece of what the model thought."""

    type: Literal["reasoning_text"]
    text: str


class Reasoning(TypedDict):
    """What the model thought before it answered, as it was answered before. Of it `encrypted_content` alone goes back,
    to the model that made it."""

    type: Literal["reasoning"]
    summary: NotRequired[Annotated[list[SummaryText], Field(fail_fast=True, max_length=4096)]]
    content: NotRequired[Annotated[list[ReasoningText], Field(fail_fast=True, max_length=4096)] | None]
    encrypted_content: NotRequired[str | None]


class ItemReference(TypedDict):
    """An item that is stored: of a response, or of the conversation that the request names."""

    id: Id


def _kind_of(item: Any) -> str:
    """The type of an input item; it may be left out of messages and of references."""
    if isinstance(item, dict) and item.get("type") is None:
        return "<message>" if "role" in item else "<item_reference>"
    return type_of(item)


Item = Annotated[
    Annotated[Message, AfterValidator(_fitting_its_role), Tag("<message>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")]
    | Annotated[CustomToolCall, Tag("<custom_tool_call>")]
    | Annotated[CustomToolCallOutput, Tag("<custom_tool_call_output>")]
    | Annotated[Reasoning, Tag("<reasoning>")]
    | Annotated[ItemReference, Tag("<item_reference>")],
    Discriminator(_kind_of),
]
StoredItem = Annotated[
    Annotated[Message, AfterValidator(_fitting_its_role), Tag("<message>")]
    | Annotated[FunctionCall, Tag("<function_call>")]
    | Annotated[FunctionCallOutput, Tag("<function_call_output>")]
    | Annotated[CustomToolCall, Tag("<custom_tool_call>")]
    | Annotated[CustomToolCallOutput, Tag("<custom_tool_call_output>")]
    | Annotated[Reasoning, Tag("<reasoning>")],
    Discriminator(_kind_of),
]


class FunctionTool(TypedDict):
    """A function that the model may call, in the flat shape."""

    type: Literal["function"]
    name: ToolName
    description: NotRequired[str | None]
    parameters: NotRequired[Free | None]
    strict: NotRequired[bool | None]


class CustomFormat(TypedDict):
    """What a custom tool's input is: any text, or what a grammar says, in the flat shape."""

    type: Literal["text", "grammar"]
    definition: NotRequired[str]
    syntax: NotRequired[Literal["lark", "regex"]]


def _with_its_grammar(given: CustomFormat) -> CustomFormat:
    if {"definition", "syntax"} & set(given) != ({"definition", "syntax"} if given["type"] == "grammar" else set()):
        raise wrong("A format of type grammar has a definition and a syntax, and no other has.")
    return given


class CustomTool(TypedDict):
    """A tool whose input is a text, in the flat shape."""

    type: Literal["custom"]
    name: ToolName
    description: NotRequired[str | None]
    format: NotRequired[Annotated[CustomFormat, AfterValidator(_with_its_grammar)] | None]


# What is neither, hosted tools among it, is refused by its type.
Tool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")], Discriminator(is_custom)
]


class NamedTool(TypedDict):
    """A tool by its name."""

    type: Literal["function", "custom"]
    name: ToolName


class AllowedTools(TypedDict):
    """Some of the tools alone."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=128)]


class TextFormat(TypedDict):
    """Plain text, or some JSON."""

    type: Literal["text", "json_object"]


class JsonSchema(TypedDict):
    """JSON after a schema."""

    type: Literal["json_schema"]
    name: SchemaName
    schema: Free
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]
