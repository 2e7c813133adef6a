"""What a model can do (policy/models.toml), and the 400 that names the parameter it cannot: never silence.

A value that asks for nothing (`n: 1`, `logprobs: false`, a penalty of 0, `service_tier: "auto"`) is taken everywhere:
clients send such values without being asked. `user`, `safety_identifier`, `prompt_cache_key`, `metadata` and `store`
are not the model's concern.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chat.custom_tools import grammar_of, name_of
from chatapi.errors import BadRequest

if TYPE_CHECKING:
    from chat.requests import ChatRequest

KNOWN = frozenset(
    {
        "audio",  # input_audio parts
        "audio_output",
        "cache_points",  # of Converse: set where a request has a `prompt_cache_key`
        "dimensions",  # of the vectors that it makes
        "embeddings",  # the model embeds, and does nothing else
        "files",
        "grammars",  # that the input of a custom tool keeps to
        "images",
        "json_object",
        "json_schema",
        "logit_bias",
        "logprobs",
        "parallel_tool_calls",  # that they can be switched off
        "penalties",
        "prediction",
        "reasoning_effort",
        "seed",
        "service_tier",
        "strict_tools",
        "token_input",  # token arrays to embed
        "tool_choice",  # other than none and auto
        "tools",
        "verbosity",
    }
)
_PARTS = {"image_url": "images", "input_audio": "audio", "file": "files"}


def check(request: ChatRequest, can: frozenset[str]) -> None:
    """BadRequest `unsupported_parameter` for the first thing that a model with these capabilities cannot do."""
    if "embeddings" in can:
        raise BadRequest("The model makes embeddings alone.", code="unsupported_parameter", param="model")
    if request.top_logprobs is not None and not request.logprobs:
        raise BadRequest("top_logprobs needs logprobs: true.", code="invalid_value", param="top_logprobs")
    _check_names(request)
    _check_choice(request)
    for capability, param in _needs(request):
        if capability not in can:
            raise unsupported(param) if capability else _offered_nowhere(param)


def unsupported(param: str) -> BadRequest:
    """The refusal."""
    return BadRequest("The model does not support this parameter.", code="unsupported_parameter", param=param)


def _offered_nowhere(param: str) -> BadRequest:
    """The refusal where another model would not help."""
    return BadRequest("No model here supports this parameter.", code="unsupported_parameter", param=param)


def _needs(request: ChatRequest) -> Iterator[tuple[str, str]]:
    """(capability, parameter) pairs that the request asks for; an empty capability is one that nothing here has."""
    for name in ("functions", "function_call", "web_search_options", "moderation", "prompt_cache_options"):
        if getattr(request, name) is not None:
            yield "", name
    if request.prompt_cache_retention == "24h":
        yield "", "prompt_cache_retention"
    if request.tools:
        yield from _tools(request)
    if request.response_format is not None and request.response_format["type"] != "text":
        yield request.response_format["type"], "response_format"
    for capability, name, asked in (
        ("seed", "seed", request.seed is not None),
        ("logprobs", "logprobs", bool(request.logprobs)),
        ("penalties", "presence_penalty", bool(request.presence_penalty)),
        ("penalties", "frequency_penalty", bool(request.frequency_penalty)),
        ("logit_bias", "logit_bias", bool(request.logit_bias)),
        ("reasoning_effort", "reasoning_effort", request.reasoning_effort not in (None, "none")),
        ("verbosity", "verbosity", request.verbosity not in (None, "medium")),
        ("service_tier", "service_tier", request.service_tier not in (None, "auto", "default")),
        ("audio_output", "modalities", "audio" in (request.modalities or ())),
        ("audio_output", "audio", request.audio is not None),
        ("prediction", "prediction", request.prediction is not None),
    ):
        if asked:
            yield capability, name
    for index, message in enumerate(request.messages):
        content = message.get("content")
        if isinstance(content, list):
            for at, part in enumerate(content):
                needed = _PARTS.get(part["type"])
                if needed:
                    yield needed, f"messages[{index}].content[{at}]"


def _tools(request: ChatRequest) -> Iterator[tuple[str, str]]:
    yield "tools", "tools"
    choice: Any = request.tool_choice
    if choice == "required" or (isinstance(choice, dict) and _mode(choice) != "auto"):
        yield "tool_choice", "tool_choice"
    if request.parallel_tool_calls is False:
        yield "parallel_tool_calls", "parallel_tool_calls"
    for index, tool in enumerate(request.tools or ()):
        if tool["type"] == "custom":
            if grammar_of(tool) is not None:
                yield "grammars", f"tools[{index}].custom.format"
        elif tool["function"].get("strict"):
            yield "strict_tools", f"tools[{index}].function.strict"


def _check_names(request: ChatRequest) -> None:
    """A model sees custom tools as functions: of two with one name nobody could say which was called."""
    kinds: dict[str, str] = {}
    for tool in request.tools or ():
        if kinds.setdefault(name_of(tool), tool["type"]) != tool["type"]:
            raise BadRequest("A function and a custom tool have the same name.", code="invalid_value", param="tools")


def _check_choice(request: ChatRequest) -> None:
    choice: Any = request.tool_choice
    if choice in (None, "none", "auto"):
        return
    offered = {name_of(tool) for tool in request.tools or ()}
    if not offered or not chosen(choice) <= offered:
        raise BadRequest("tool_choice is of the tools on offer.", code="invalid_value", param="tool_choice")


def chosen(choice: Any) -> set[str]:
    """The names in a `tool_choice`."""
    if not isinstance(choice, dict):
        return set()
    if choice["type"] != "allowed_tools":
        return {name_of(choice)}
    return {name_of(tool) for tool in choice["allowed_tools"]["tools"]}


def _mode(choice: dict[str, Any]) -> str:
    return str(choice["allowed_tools"]["mode"]) if "allowed_tools" in choice else "named"
