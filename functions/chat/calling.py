"""From a validated request to the provider's call: what is passed on, under which names, and what stays here.

A provider gets the messages, the parameters that its model is known to take, and pseudonyms (commitment MSG-1). What
the developer calls the end user, the prompt cache's key, `metadata` and `store` never leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.caches import salted
from chat.capabilities import chosen
from chat.custom_tools import as_function, as_functions, grammar_of, name_of
from chat.providers.base import Call, demanded
from chat.thoughts import thinking

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.models import Model
    from chat.requests import ChatRequest
    from chat.thoughts import Thoughts

_PASSED_ON = (
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
)
_WITHOUT_EFFECT: tuple[Any, ...] = (None, False, 0, {}, "none", ["text"])
"""Taken from every caller and sent to nobody: a server that does not know the parameter might refuse it.

`False` and `0` are equal, so a penalty of 0.0 and `logprobs: false` are both in here.
"""


def call_of(
    request: ChatRequest, model: Model, *, user: str, cache_key: str, thoughts: Callable[[], Thoughts] | None = None
) -> Call:
    """The call. `user` and `cache_key` are pseudonyms; `thoughts` opens those of this model, where it takes any."""
    stop = request.stop or ()
    held = any(grammar_of(tool) is not None for tool in request.tools or ())  # custom tools go as they are
    tools, choice = _tools(request, as_they_are=held)
    extra = {**model.extra, **{k: v for k in _PASSED_ON if (v := getattr(request, k)) not in _WITHOUT_EFFECT}}
    if extra.get("verbosity") == "medium" and "verbosity" not in model.capabilities:
        del extra["verbosity"]
    if request.reasoning_effort == "none" and "reasoning_effort" in model.capabilities:
        extra["reasoning_effort"] = "none"
    if request.service_tier not in (None, "auto", "default"):
        extra["service_tier"] = request.service_tier
    if tools and request.parallel_tool_calls is not None and "parallel_tool_calls" in model.capabilities:
        extra["parallel_tool_calls"] = request.parallel_tool_calls
    as_sent = dict if held else as_functions
    messages = thinking([as_sent(message) for message in request.messages], thoughts)
    if model.call_begins and demanded(choice):
        # The server goes on with the answer, which begins with a call. It ignores a name: no other tool is told of.
        tools, choice = _only(tools, choice), "required"
        messages = _begun(messages, model.call_begins)
    return Call(
        model=model.upstream,
        messages=salted(messages, cache_key) if model.cache == "salt" else messages,
        max_tokens=request.output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        tools=tools,
        tool_choice=choice,
        response_format=None if request.response_format is None else dict(request.response_format),
        seed=request.seed,
        extra=extra,
        user=user,
        guardrail=model.guardrail,
        cache_key=None if model.cache == "off" else cache_key,
        cache_points="cache_points" in model.capabilities and request.prompt_cache_key is not None,
    )


def _begun(messages: tuple[dict[str, Any], ...], words: str) -> tuple[dict[str, Any], ...]:
    """The conversation with an answer that is begun with `words`, behind what the caller itself has begun it with."""
    last = messages[-1]
    if last["role"] != "assistant":
        return (*messages, {"role": "assistant", "content": words})
    begun = last.get("content") or ""
    if not isinstance(begun, str):
        begun = "".join(part.get("text") or part.get("refusal", "") for part in begun)
    return (*messages[:-1], {**last, "content": begun + words})


def _only(
    tools: tuple[dict[str, Any], ...] | None, choice: str | dict[str, Any] | None
) -> tuple[dict[str, Any], ...] | None:
    named = chosen(choice)
    return tuple(tool for tool in tools or () if name_of(tool) in named) if named else tools


def _tools(
    request: ChatRequest, *, as_they_are: bool
) -> tuple[tuple[dict[str, Any], ...] | None, str | dict[str, Any] | None]:
    """Tools and choice. `allowed_tools` becomes fewer tools and their mode, which every provider understands."""
    sent = dict if as_they_are else as_function
    tools = tuple(sent(tool) for tool in request.tools) if request.tools else None
    choice: Any = request.tool_choice
    if tools and isinstance(choice, dict) and "allowed_tools" in choice:
        allowed = chosen(choice)
        return tuple(tool for tool in tools if name_of(tool) in allowed), choice["allowed_tools"]["mode"]
    if isinstance(choice, dict) and choice["type"] == "custom" and not as_they_are:
        choice = {"type": "function", "function": choice["custom"]}
    return tools, (None if tools is None else choice)
