"""Custom tools, whose input is free text: to a model they are functions with one string, which every provider takes.

    {"type": "custom", "custom": {"name": "shell"}}  ─▶  function shell({"input": string})
    the model's shell({"input": "ls"})               ─▶  the caller's custom call of shell with `ls`

A grammar is the provider's to hold the model to: where a tool of the request has one, all custom tools go as they are,
to a model with the capability `grammars`, and its calls come as they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from chat.providers.base import Event, Finish, Stream, ToolArguments, ToolStart

_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def name_of(tool: Mapping[str, Any]) -> str:
    """The name of a tool, or of one that is chosen."""
    return str(tool[tool["type"]]["name"])


def grammar_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The grammar that a custom tool's input keeps to, where it has one."""
    found: Mapping[str, Any] | None = (tool.get("custom", {}).get("format") or {}).get("grammar")
    return found


def as_function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The tool as the provider gets it."""
    if tool["type"] == "function":
        return dict(tool)
    custom = tool["custom"]
    told = {"description": custom["description"]} if custom.get("description") else {}
    return {"type": "function", "function": {"name": custom["name"], **told, "parameters": _INPUT}}


def as_functions(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the history whose custom calls are calls of functions."""
    calls = message.get("tool_calls") or ()
    if all(call["type"] == "function" for call in calls):
        return dict(message)
    return {**message, "tool_calls": [_called(call) for call in calls]}


def _called(call: Mapping[str, Any]) -> dict[str, Any]:
    if call["type"] == "function":
        return dict(call)
    custom = call["custom"]
    function = {"name": custom["name"], "arguments": json.dumps({"input": custom["input"]}, ensure_ascii=False)}
    return {"id": call["id"], "type": "function", "function": function}


class CustomCalls:
    """The stream of a model that was offered custom tools, those of `names`: their calls are custom, and the input
    comes whole, before the Finish, since only all of the JSON says what it is. Those that are custom already stay."""

    def __init__(self, stream: Stream, names: Collection[str]) -> None:
        self._stream = stream
        self._names = names

    def __iter__(self) -> Iterator[Event]:
        """The events. Raises ProviderBroken."""
        given: dict[int, list[str]] = {}
        for event in self._stream:
            if isinstance(event, ToolStart) and event.name in self._names and not event.custom:
                given[event.index] = []
                yield ToolStart(event.index, event.id, event.name, custom=True)
            elif isinstance(event, ToolArguments) and event.index in given:
                given[event.index].append(event.fragment)
            else:
                if isinstance(event, Finish):
                    yield from (ToolArguments(index, _input("".join(pieces))) for index, pieces in given.items())
                yield event

    def close(self) -> None:
        """Stop the upstream."""
        self._stream.close()


def _input(arguments: str) -> str:
    """The text; a model that did not write the JSON that it was asked for may have written the text itself."""
    try:
        found = json.loads(arguments)["input"]
    except (ValueError, TypeError, KeyError):
        return arguments
    return found if isinstance(found, str) else arguments
