"""What a chat completion's body is made of: messages, their parts, tools, formats. Plain dictionaries, checked.

The bounds are ours. Compiled with chat/wire.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag, with_config
from typing_extensions import TypedDict

from chat.checks import finite, is_custom, self_contained, with_its_grammar

Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
# What OpenAI and Converse take as the name of a tool.
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
SchemaName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
Free = Annotated[dict[str, Any], AfterValidator(finite)]


@with_config(ConfigDict(extra="allow"))
class Part(TypedDict):
    """A content part: text, image_url, input_audio, file or refusal, with the field of that name."""

    type: Literal["text", "image_url", "input_audio", "file", "refusal"]


class FunctionCall(TypedDict):
    """The function of a tool call: a name and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """A call of a function that the assistant made."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class CustomInput(TypedDict):
    """The call of a custom tool: its name, and a text."""

    name: str
    input: str


class CustomToolCall(TypedDict):
    """A call of a custom tool that the assistant made."""

    id: str
    type: Literal["custom"]
    custom: CustomInput


Call = Annotated[
    Annotated[ToolCall, Tag("<function>")] | Annotated[CustomToolCall, Tag("<custom>")], Discriminator(is_custom)
]


class Message(TypedDict):
    """One message, of any role."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    # fail_fast: an error for each of millions of wrong items would take more memory than the function has.
    content: NotRequired[
        str | Annotated[list[Annotated[Part, AfterValidator(self_contained)]], Field(fail_fast=True)] | None
    ]
    name: NotRequired[str]
    tool_calls: NotRequired[Annotated[list[Call], Field(fail_fast=True)] | None]
    tool_call_id: NotRequired[str]
    refusal: NotRequired[str | None]


class Function(TypedDict):
    """A function that the model may call."""

    name: ToolName
    description: NotRequired[str | None]
    parameters: NotRequired[Free]
    strict: NotRequired[bool | None]


class FunctionTool(TypedDict):
    """A function on offer."""

    type: Literal["function"]
    function: Function


class Grammar(TypedDict):
    """A grammar that a custom tool's input keeps to (chat/custom_tools.py)."""

    definition: str
    syntax: Literal["lark", "regex"]


class CustomFormat(TypedDict):
    """What a custom tool's input is: any text, or what a grammar says."""

    type: Literal["text", "grammar"]
    grammar: NotRequired[Grammar]


class Custom(TypedDict):
    """A tool whose input is a text."""

    name: ToolName
    description: NotRequired[str | None]
    format: NotRequired[Annotated[CustomFormat, AfterValidator(with_its_grammar)] | None]


class CustomTool(TypedDict):
    """A custom tool on offer."""

    type: Literal["custom"]
    custom: Custom


Tool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")], Discriminator(is_custom)
]


class Named(TypedDict):
    """A function by its name."""

    name: ToolName


class NamedTool(TypedDict):
    """`tool_choice` of one function; also an entry of `allowed_tools`."""

    type: Literal["function"]
    function: Named


class NamedCustom(TypedDict):
    """`tool_choice` of one custom tool; also an entry of `allowed_tools`."""

    type: Literal["custom"]
    custom: Named


class Allowed(TypedDict):
    """The tools that the model may choose from."""

    mode: Literal["auto", "required"]
    tools: Annotated[
        list[Annotated[NamedTool | NamedCustom, Field(discriminator="type")]], Field(min_length=1, max_length=128)
    ]


class AllowedTools(TypedDict):
    """`tool_choice` of some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: Allowed


class PlainFormat(TypedDict):
    """`response_format` without a schema."""

    type: Literal["text", "json_object"]


class JsonSchema(TypedDict):
    """A JSON Schema (strict structured outputs)."""

    name: SchemaName
    description: NotRequired[str | None]
    schema: NotRequired[Free]
    strict: NotRequired[bool | None]


class SchemaFormat(TypedDict):
    """`response_format` with a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema
