"""What a chat completion's body is made of: messages, their parts, tools, formats. Plain dictionaries, checked.

The bounds are ours. Validators raise fixed texts: nothing of the request may travel in one.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag, with_config
from typing_extensions import TypedDict

from chat.deferred import AtFirstUse
from chatapi.bodies import wrong

Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
# What OpenAI and Converse take as the name of a tool.
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
SchemaName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
_SENT_AS = {"image_url": "url", "file": "file_data"}


def _finite(value: Any) -> Any:
    """Refuse NaN and infinities, which the parser takes: no JSON that is sent on or kept may hold one (RFC 8259)."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, float) and not math.isfinite(found):
            raise wrong("A number is not finite.")
        if isinstance(found, dict | list):
            left += found.values() if isinstance(found, dict) else found
    return value


def _self_contained(part: Any) -> Any:
    """Refuse a part without what its type names; an image by address and a file by id: fetching the one would send the
    server where the caller points (OWASP, SSRF), the other is a file of the provider's account, not the caller's."""
    kind = part["type"]
    if not isinstance(part.get(kind), str if kind in ("text", "refusal") else dict):
        raise wrong("A content part has a field of the name that its type says: a text, or an object.")
    if kind in _SENT_AS:
        url = part[kind].get(_SENT_AS[kind])
        if not isinstance(url, str) or not url.startswith("data:") or "file_id" in part[kind]:
            raise wrong("Images and files are sent as data URLs: nothing is fetched from addresses or by ids.")
    return _finite(part)


Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
Free = Annotated[dict[str, Any], AfterValidator(_finite)]


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


def is_custom(value: Any) -> str:
    """The tag of a union of functions and custom tools: what is neither is refused by its type, as a function. In
    brackets, so that in an error's location it is not taken for the name of a field."""
    return "<custom>" if isinstance(value, dict) and value.get("type") == "custom" else "<function>"


Call = Annotated[
    Annotated[ToolCall, Tag("<function>")] | Annotated[CustomToolCall, Tag("<custom>")], Discriminator(is_custom)
]


class Message(TypedDict):
    """One message, of any role."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    # fail_fast: an error for each of millions of wrong items would take more memory than the function has.
    content: NotRequired[
        str | Annotated[list[Annotated[Part, AfterValidator(_self_contained)]], Field(fail_fast=True)] | None
    ]
    name: NotRequired[str]
    tool_calls: NotRequired[AtFirstUse[Annotated[list[Call], Field(fail_fast=True)]]]
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


def _with_its_grammar(given: CustomFormat) -> CustomFormat:
    if (given["type"] == "grammar") != ("grammar" in given):
        raise wrong("A format of type grammar has a grammar, and no other has.")
    return given


class Custom(TypedDict):
    """A tool whose input is a text."""

    name: ToolName
    description: NotRequired[str | None]
    format: NotRequired[Annotated[CustomFormat, AfterValidator(_with_its_grammar)] | None]


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
