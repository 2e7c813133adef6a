"""From OpenAI's wire shape to Amazon Bedrock's Converse (Amazon Bedrock API reference, "ConverseStream")."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from chat.providers.arguments import read_arguments
from chat.providers.base import Call, ProviderRejected, Rejection

_IMAGE_TYPES = ("png", "jpeg", "gif", "webp")
# DocumentBlock's formats, by the media types that clients write into a data URL (IANA's registry).
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENT_TYPES = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    _OFFICE + "wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    _OFFICE + "spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}


_NAME = re.compile("[a-zA-Z0-9_-]{1,64}")
_TOOL_ID = re.compile("[a-zA-Z0-9_.:-]{1,64}")


def to_converse(call: Call) -> dict[str, Any]:
    """The body of a ConverseStream request.

    What Converse has no word for is left out: ``seed`` and ``user``. ``extra`` is the model's own affair
    (`additionalModelRequestFields`). It has none for ``tool_choice: "none"``
    either, and demands that tools be offered where the history calls them: there calls become text, and none is none.
    Raises :class:`ProviderRejected` (bad_request), which names the parameter, for what cannot be carried over.
    """
    param = "messages"
    try:
        return _convert(call)
    except _Unfit as error:
        param = error.param
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise ProviderRejected(Rejection.BAD_REQUEST, param)  # outside the handlers: the cause may quote content


class _Unfit(ValueError):
    """A parameter other than the messages that Converse does not take."""

    def __init__(self, param: str) -> None:
        super().__init__(param)
        self.param = param


def _convert(call: Call) -> dict[str, Any]:
    tools_as_text = not call.tools or call.tool_choice == "none"
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for message in call.messages:
        if message["role"] in ("system", "developer"):
            system += _instructions(message)
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message, tools_as_text=tools_as_text)
        if messages and messages[-1]["role"] == role:  # roles must alternate
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    _name_documents(messages)
    if call.cache_points:
        _mark(system, messages)
    if call.temperature is not None and call.temperature > 1:
        raise _Unfit("temperature")  # InferenceConfiguration: 0 to 1, and another scale would be another request
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
    if call.guardrail:
        body["guardrailConfig"] = call.guardrail.converse()
    if call.extra:
        body["additionalModelRequestFields"] = call.extra
    output = _output_config(call.response_format)
    if output:
        body["outputConfig"] = output
    return body


def _mark(system: list[dict[str, Any]], messages: list[dict[str, Any]]) -> None:
    """Have the instructions kept, and the conversation so far (CachePointBlock). Never the tools: they stand before
    the instructions, and so before the line that keeps projects apart (chat.caches)."""
    if system:
        system.append({"cachePoint": {"type": "default"}})
    if messages and all("text" in block for block in messages[-1]["content"]):
        messages[-1]["content"].append({"cachePoint": {"type": "default"}})


def _instructions(message: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = _content(message.get("content"))
    if not all("text" in block for block in blocks):
        raise ValueError  # a SystemContentBlock is text
    return blocks


def _name_documents(messages: list[dict[str, Any]]) -> None:
    """Number the documents: their names must differ within a request, and a neutral one neither tells the model what
    the caller's file is called nor lets that name instruct it (DocumentBlock, "name")."""
    number = 0
    for message in messages:
        for block in message["content"]:
            for inner in (block, *block.get("toolResult", {}).get("content", ())):
                if "document" in inner:
                    number += 1
                    inner["document"]["name"] = f"document-{number}"
        asked = [block for block in message["content"] if "toolResult" not in block]
        if any("document" in block for block in asked) and not any("text" in block for block in asked):
            raise ValueError  # Message, "content": a document goes with a text


def _blocks(message: dict[str, Any], *, tools_as_text: bool) -> list[dict[str, Any]]:
    blocks = _content(message.get("content"))
    if message["role"] == "tool":
        if tools_as_text:
            return blocks
        result = {"toolUseId": _tool_id(message["tool_call_id"]), "content": blocks or [{"text": "(empty)"}]}
        return [{"toolResult": result}]
    thoughts = message.get("reasoning", ())
    blocks = [*_thoughts(thoughts, 0), *blocks]
    for number, call in enumerate(message.get("tool_calls") or (), 1):
        blocks += _thoughts(thoughts, number)
        function = call["function"]
        if tools_as_text:
            blocks.append({"text": f"{function['name']}({function['arguments']})"})
            continue
        arguments = read_arguments(function["arguments"])
        if not _NAME.fullmatch(function["name"]):
            raise ValueError
        blocks.append({"toolUse": {"toolUseId": _tool_id(call["id"]), "name": function["name"], "input": arguments}})
    return blocks


def _tool_id(given: str) -> str:
    """The id of a call, which other servers may have made: it joins a call with its result, and says nothing else."""
    return given if _TOOL_ID.fullmatch(given) else hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()


def _thoughts(thoughts: Iterable[tuple[int, dict[str, Any]]], at: int) -> list[dict[str, Any]]:
    """Those that stand there: 0 is the beginning of the turn, N before its Nth call. One that nothing followed is left
    out, since no turn may end in it."""
    return [{"reasoningContent": block} for where, block in thoughts if where == at]


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
        case "file":
            return _document(part["file"]["file_data"])
    raise ValueError


def _image(url: str) -> dict[str, Any]:
    """Only what is in the request itself: an address would make the provider fetch on the caller's behalf."""
    head, _, data = url.partition(";base64,")
    kind = head.removeprefix("data:image/")
    kind = "jpeg" if kind == "jpg" else kind
    if not data or kind == head or kind not in _IMAGE_TYPES:
        raise ValueError
    return {"image": {"format": kind, "source": {"bytes": data}}}


def _document(url: str) -> dict[str, Any]:
    """A document in the request itself. Its media type says what it is; the name comes later (`_name_documents`)."""
    head, _, data = url.partition(";base64,")
    kind = _DOCUMENT_TYPES.get(head.removeprefix("data:").partition(";")[0].lower())
    if not data or kind is None:
        raise ValueError
    return {"document": {"format": kind, "name": "", "source": {"bytes": data}}}


def _tool_config(tools: tuple[dict[str, Any], ...], choice: str | dict[str, Any] | None) -> dict[str, Any]:
    specifications = []
    for tool in tools:
        function = tool.get("function") or {}
        if not _NAME.fullmatch(function.get("name", "")):
            raise _Unfit("tools")
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
            if "schema" not in given:
                raise _Unfit("response_format")
            schema = {"schema": json.dumps(given["schema"]), "name": given["name"]}
            if given.get("description"):
                schema["description"] = given["description"]
            return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    raise _Unfit("response_format")  # json_object: Converse wants a schema
