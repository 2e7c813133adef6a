"""The body of POST /v1/chat/completions, as OpenAI's clients send it. The bounds are ours.

These models are what the published description says of it, and what `python -m local.compiled` compiles: run it after a
change. The function loads what came of it (chat/requests.py), and this only for a surface that has not been compiled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from chat.checks import without_null_calls
from chat.shapes import (
    AllowedTools,
    Free,
    Message,
    Metadata,
    Name,
    NamedCustom,
    NamedTool,
    PlainFormat,
    SchemaFormat,
    Text,
    Tool,
)
from chatapi.strict import STRICT


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(**STRICT, defer_build=True)
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


RedactedKind = Literal["email", "phone", "card", "iban", "ip", "national_id", "credential"]
RedactedValue = Annotated[str, StringConstraints(min_length=3, max_length=256, pattern=r"\S")]


class DataHandling(BaseModel):
    """Ours, in no OpenAI API: what the caller asks of the handling of this request's content. It can only tighten."""

    model_config = ConfigDict(**STRICT, defer_build=True, extra="forbid")
    retention: Literal["none", "history"] | None = None
    ttl_seconds: Annotated[int, Field(ge=60)] | None = None
    receipt: bool | None = None
    gpc: Annotated[
        bool | None,
        Field(
            description="The end user's Global Privacy Control signal, passed on by a proxy; as the header Sec-GPC: 1."
        ),
    ] = None
    redact: Annotated[
        bool | Annotated[list[RedactedKind], Field(fail_fast=True)] | None,
        Field(
            description="Kinds of values that no model may see, or true for all: it sees placeholders, the caller sees "
            "the values. It adds to what project and key demand; false takes nothing away."
        ),
    ] = None
    redact_values: Annotated[
        Annotated[list[RedactedValue], Field(max_length=64)] | None,
        Field(description="Further values that no model may see, for example names."),
    ] = None


class ChatRequest(BaseModel):
    """The body. Unknown fields are accepted and ignored, known ones are strict."""

    model_config = STRICT

    model: Name
    messages: Annotated[
        list[Annotated[Message, AfterValidator(without_null_calls)]], Field(min_length=1, max_length=4096)
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=8)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: (
        Literal["none", "auto", "required"]
        | Annotated[NamedTool | NamedCustom | AllowedTools, Field(discriminator="type")]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    modalities: Annotated[list[Literal["text", "audio"]], Field(max_length=2)] | None = None
    audio: Free | None = None
    prediction: Free | None = None
    # Accepted by name so that they can be refused by name: silence would be a promise (chat/capabilities.py).
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None
    moderation: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_key: Annotated[str, StringConstraints(max_length=512)] | None = None
    user: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    safety_identifier: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    data_handling: DataHandling | None = None


class CompletionUpdate(BaseModel):
    """The body of POST /v1/chat/completions/{id}."""

    model_config = ConfigDict(**STRICT, defer_build=True)
    metadata: Metadata | None
