"""Between items and messages: a response is a chat in another shape, and one service runs both.

Items are kept and shown in the full form that OpenAI's types have; `messages` makes of them what chat completions take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from pydantic import ValidationError

from chat import turns
from chat.custom_tools import name_of
from chat.requests import ChatRequest
from chat.responses.wire import ResponseCreate
from chat.thoughts import THOUGHTS
from chatapi.errors import ApiError, BadRequest

Item = dict[str, Any]

_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "reasoning": "rs_",
}
PREFIXES = tuple(_PREFIXES.values())
_RENAMED = {
    "logprobs": "include",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}

_OF_TOOLS = ("name", "description", "parameters", "strict", "format")


def item_id(item: Mapping[str, Any], token: str) -> str:
    """The id of an item of this type."""
    return _PREFIXES[item["type"]] + token


def full(item: Mapping[str, Any]) -> Item:
    """A validated input item in its full form, without an id."""
    if "role" in item:
        return {"type": "message", "role": item["role"], "status": "completed", "content": _content(item)}
    if item["type"] == "function_call":
        names = ("call_id", "name", "arguments")
        return {"type": "function_call", "status": "completed", **{name: item[name] for name in names}}
    if item["type"] == "custom_tool_call":
        return {"type": "custom_tool_call", **{name: item[name] for name in ("call_id", "name", "input")}}
    if item["type"] == "reasoning":
        told = {"summary": item.get("summary") or [], "content": item.get("content") or []}
        return {
            "type": "reasoning",
            **told,
            "encrypted_content": item.get("encrypted_content"),
            "status": "completed",
        }
    output = item["output"]
    if not isinstance(output, str):
        output = [_part(part, "input_text") for part in output]
    status = {"status": "completed"} if item["type"] == "function_call_output" else {}
    return {"type": item["type"], **status, "call_id": item["call_id"], "output": output}


def of_text(text: str) -> Item:
    """`input` as a string is a message of the user."""
    return full({"role": "user", "content": text})


def _content(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    text = "output_text" if message["role"] == "assistant" else "input_text"
    content = message["content"]
    return [_part(part, text) for part in ([{"type": text, "text": content}] if isinstance(content, str) else content)]


def _part(part: Mapping[str, Any], text: str) -> dict[str, Any]:
    match part["type"]:
        case "input_text" | "output_text":
            extra: dict[str, Any] = {"annotations": [], "logprobs": []} if text == "output_text" else {}
            return {"type": text, "text": part["text"], **extra}
        case "refusal":
            return {"type": "refusal", "refusal": part["refusal"]}
        case "input_image":
            return {"type": "input_image", "detail": part.get("detail") or "auto", "image_url": part["image_url"]}
    return {"type": "input_file", "filename": part.get("filename"), "file_data": part["file_data"]}


def messages(instructions: str | None, items: Iterable[Item]) -> list[dict[str, Any]]:
    """The chat's messages. Calls that follow one another, and the text before them, are one turn of the assistant. What
    its provider signed of a model's thoughts stands in the turn's `thoughts` (chat/thoughts.py), with its position: 0
    at the beginning, N before the Nth call. No other thought is in them: no provider takes it."""
    thoughts: list[str] = []
    out: list[dict[str, Any]] = [] if instructions is None else [{"role": "system", "content": instructions}]
    turn: dict[str, Any] | None = None
    for item in items:
        if item["type"] == "reasoning":
            thoughts += [item["encrypted_content"]] if item.get("encrypted_content") else []
            continue
        if item["type"] in ("function_call", "custom_tool_call"):
            at = 0 if turn is None else 1 + len(turn.get("tool_calls", ()))
            if turn is None:
                turn = {"role": "assistant", "content": None}
                out.append(turn)
            turn.setdefault("tool_calls", []).append(_call(item))
            _think(turn, at, thoughts)
            continue
        turn = None
        if item["type"] in ("function_call_output", "custom_tool_call_output"):
            out.append({"role": "tool", "tool_call_id": item["call_id"], "content": _said(item["output"])})
        else:
            out.append({"role": item["role"], "content": _said(item["content"])})
            if item["role"] == "assistant":
                turn = out[-1]
                _think(turn, 0, thoughts)
        thoughts.clear()
    return out


def _think(turn: dict[str, Any], at: int, thoughts: list[str]) -> None:
    if thoughts:
        turn.setdefault(THOUGHTS, []).extend((at, each) for each in thoughts)
        thoughts.clear()


def _call(item: Item) -> dict[str, Any]:
    if item["type"] == "custom_tool_call":
        custom = {"name": item["name"], "input": item["input"]}
        return {"id": item["call_id"], "type": "custom", "custom": custom}
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _said(content: str | Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """A string where there is only text, since not every server takes parts."""
    if isinstance(content, str):
        return content
    if all("text" in part for part in content):
        return "".join(part["text"] for part in content)
    return [_spoken(part) for part in content]


def _spoken(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "input_text" | "output_text":
            return {"type": "text", "text": part["text"]}
        case "refusal":
            return {"type": "refusal", "refusal": part["refusal"]}
        case "input_image":
            return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part["detail"]}}
    file = {"file_data": part["file_data"], "filename": part["filename"] or "file"}
    return {"type": "file", "file": file}


def chat_request(request: ResponseCreate, items: Iterable[Item], *, store: bool) -> ChatRequest:
    """The chat that answers the request. BadRequest, in the names of this surface, where no chat can be that."""
    effort = request.reasoning.effort if request.reasoning else None
    turns.check_items(items := list(items))
    tools, choice = _tools(request)
    told = messages(request.instructions, items)
    body = {
        "model": request.model,
        "messages": told,
        "stream": request.stream,
        "max_completion_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "logprobs": request.logprobs or None,
        "top_logprobs": request.top_logprobs or None,
        "tools": tools,
        "tool_choice": choice,
        "parallel_tool_calls": request.parallel_tool_calls,
        "response_format": _format(request),
        "reasoning_effort": effort,
        "verbosity": request.text.verbosity if request.text else None,
        "service_tier": request.service_tier,
        "prompt_cache_key": request.prompt_cache_key,
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "store": store,
        "data_handling": request.data_handling and request.data_handling.model_dump(exclude_none=True),
    }
    made: ChatRequest | None = None
    with suppress(ValidationError):  # the refusal is made outside: pydantic's error holds the input
        made = ChatRequest.model_validate({name: value for name, value in body.items() if value is not None})
    if made is not None:
        for message, given in zip(cast(list[dict[str, Any]], made.messages), told, strict=True):
            if THOUGHTS in given:  # no request of a chat may have it
                message[THOUGHTS] = given[THOUGHTS]
        return made
    raise BadRequest("The input cannot be put into messages for the model.", code="invalid_value", param="input")


def _tools(request: ResponseCreate) -> tuple[list[dict[str, Any]] | None, Any]:
    """Tools in their nested shape, and the choice. Of the tools the allowed ones are on offer."""
    tools: list[dict[str, Any]] = [
        {
            "type": tool["type"],
            tool["type"]: {
                name: _nested(value) if name == "format" else value
                for name, value in tool.items()
                if name in _OF_TOOLS and value is not None
            },
        }
        for tool in request.tools or ()
    ]
    offered = {name_of(tool) for tool in tools}
    choice = request.tool_choice
    if choice is None or isinstance(choice, str):
        return tools or None, choice
    if choice["type"] != "allowed_tools":
        if choice["name"] not in offered:
            raise BadRequest("tool_choice is of the tools on offer.", code="invalid_value", param="tool_choice")
        return tools, {"type": choice["type"], choice["type"]: {"name": choice["name"]}}
    allowed = {tool["name"] for tool in choice["tools"]}
    if not allowed <= offered:
        raise BadRequest("tool_choice is of the tools on offer.", code="invalid_value", param="tool_choice.tools")
    return [tool for tool in tools if name_of(tool) in allowed], choice["mode"]


def _nested(form: Any) -> dict[str, Any]:
    """The format of a custom tool in its nested shape."""
    if form["type"] == "text":
        return {"type": "text"}
    return {"type": "grammar", "grammar": {"definition": form["definition"], "syntax": form["syntax"]}}


def _format(request: ResponseCreate) -> dict[str, Any] | None:
    wanted: dict[str, Any] = dict(request.text.format) if request.text else {"type": "text"}
    match wanted["type"]:
        case "text":
            return None
        case "json_object":
            return wanted
    names = ("name", "schema", "description", "strict")
    schema = {name: wanted[name] for name in names if wanted.get(name) is not None}
    return {"type": "json_schema", "json_schema": schema}


def renamed(error: ApiError) -> ApiError:
    """A refusal of the chat, with `param` as this surface calls it."""
    param = error.param
    if param is not None:
        if param.startswith("messages"):
            error.param = "input"
        else:
            error.param = _RENAMED.get(param, re.sub(r"^(tools\[\d+\])\.(?:function|custom)", r"\1", param))
    return error
