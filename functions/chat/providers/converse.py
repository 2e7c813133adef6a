"""From OpenAI's wire shape to Amazon Bedrock's Converse (Amazon Bedrock API reference, "ConverseStream")."""

from __future__ import annotations

import json
from typing import Any

from chat.providers.base import Call, ProviderRejected, Rejection

_IMAGE_TYPES = ("png", "jpeg", "gif", "webp")


def to_converse(call: Call) -> dict[str, Any]:
    """The body of a ConverseStream request.

    What Converse has no word for is left out: ``seed``, ``user`` and ``extra``. It has none for ``tool_choice: "none"``
    either, and demands that tools be offered where the history calls them: there calls become text, and none is none.
    Raises :class:`ProviderRejected` (bad_request) for content that cannot be carried over.
    """
    try:
        return _convert(call)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise ProviderRejected(Rejection.BAD_REQUEST)  # outside the handler: the cause may quote content


def _convert(call: Call) -> dict[str, Any]:
    tools_as_text = not call.tools or call.tool_choice == "none"
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for message in call.messages:
        if message["role"] in ("system", "developer"):
            system += _content(message.get("content"))
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message, tools_as_text=tools_as_text)
        if messages and messages[-1]["role"] == role:  # roles must alternate
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    inference = {
        "maxTokens": call.max_tokens,
        "temperature": call.temperature,
        "topP": call.top_p,
        "stopSequences": list(call.stop) or None,
    }
    body: dict[str, Any] = {
        "messages": messages,
        "inferenceConfig": {name: value for name, value in inference.items() if value is not None},
    }
    if system:
        body["system"] = system
    if call.tools and not tools_as_text:
        body["toolConfig"] = _tool_config(call.tools, call.tool_choice)
    output = _output_config(call.response_format)
    if output:
        body["outputConfig"] = output
    return body


def _blocks(message: dict[str, Any], *, tools_as_text: bool) -> list[dict[str, Any]]:
    blocks = _content(message.get("content"))
    if message["role"] == "tool":
        if tools_as_text:
            return blocks
        return [{"toolResult": {"toolUseId": message["tool_call_id"], "content": blocks or [{"text": "(empty)"}]}}]
    for call in message.get("tool_calls") or ():
        function = call["function"]
        if tools_as_text:
            blocks.append({"text": f"{function['name']}({function['arguments']})"})
            continue
        arguments = json.loads(function["arguments"] or "{}")
        if not isinstance(arguments, dict):
            raise ValueError
        blocks.append({"toolUse": {"toolUseId": call["id"], "name": function["name"], "input": arguments}})
    return blocks


def _content(content: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    return [block for block in map(_part, parts) if block != {"text": ""}]  # Bedrock refuses empty text


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "text":
            return {"text": part["text"]}
        case "refusal":
            return {"text": part["refusal"]}
        case "image_url":
            return _image(part["image_url"]["url"])
    raise ValueError


def _image(url: str) -> dict[str, Any]:
    """Only what is in the request itself: an address would make the provider fetch on the caller's behalf."""
    head, comma, data = url.partition(";base64,")
    kind = head.removeprefix("data:image/")
    kind = "jpeg" if kind == "jpg" else kind
    if not comma or kind == head or kind not in _IMAGE_TYPES:
        raise ValueError
    return {"image": {"format": kind, "source": {"bytes": data}}}


def _tool_config(tools: tuple[dict[str, Any], ...], choice: str | dict[str, Any] | None) -> dict[str, Any]:
    specifications = []
    for tool in tools:
        function = tool["function"]
        specification = {
            "name": function["name"],
            "inputSchema": {"json": function.get("parameters") or {"type": "object", "properties": {}}},
        }
        if function.get("description"):
            specification["description"] = function["description"]
        specifications.append({"toolSpec": specification})
    config: dict[str, Any] = {"tools": specifications}
    if choice == "required":
        config["toolChoice"] = {"any": {}}
    elif isinstance(choice, dict):
        config["toolChoice"] = {"tool": {"name": choice["function"]["name"]}}
    return config


def _output_config(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    match (response_format or {}).get("type", "text"):
        case "text":
            return None
        case "json_schema":
            assert response_format is not None
            given = response_format["json_schema"]
            schema = {"schema": json.dumps(given["schema"]), "name": given["name"]}
            if given.get("description"):
                schema["description"] = given["description"]
            return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    raise ValueError  # json_object: Converse wants a schema
