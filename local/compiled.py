"""functions/chat/requests.json, the compiled models of chat/wire.py: `python -m local.compiled` writes it, nobody edits
it, and a test holds it to the models. What pydantic keeps for the description alone is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreConfig

from chat import checks, shapes, wire
from local.settings import ROOT

COMPILED = ROOT / "functions" / "chat" / "requests.json"

_BODIES = (wire.ChatRequest, wire.CompletionUpdate)
_NESTED = (wire.StreamOptions, wire.DataHandling)
_CALLS = (shapes.ToolCall, shapes.FunctionCall, shapes.CustomToolCall, shapes.CustomInput)
_TOOLS = (shapes.FunctionTool, shapes.Function, shapes.CustomTool, shapes.Custom, shapes.CustomFormat, shapes.Grammar)
_DESCRIPTION = frozenset(("metadata", "computed_fields"))


def compiled() -> dict[str, Any]:
    """Schema and configuration of each body by its name, and ``known``: the names of fields that an error may show."""
    made = {body.__name__: {"schema": _plain(_built(body)), "config": _config(body)} for body in _BODIES}
    fields = {name for body in (*_BODIES, *_NESTED) for name in body.model_fields}
    keys = {name for shape in (shapes.Part, shapes.Message, *_CALLS, *_TOOLS) for name in shape.__annotations__}
    return {**made, "known": sorted(fields | keys)}


def written(made: dict[str, Any]) -> str:
    """That as text."""
    return json.dumps(made, indent=1) + "\n"


def _built(body: type[BaseModel]) -> Any:
    body.model_rebuild()
    return body.__pydantic_core_schema__


def _config(body: type[BaseModel]) -> dict[str, Any]:
    """Its own, which holds for the texts between the fields too: a cache of strings is the whole validator's."""
    return {name: value for name, value in body.model_config.items() if name in CoreConfig.__annotations__}


def _plain(node: Any) -> Any:
    """The same as data: functions and classes by their names. TypeError for what is neither."""
    if isinstance(node, dict):
        if not isinstance(node.get("type"), str):
            return {name: _plain(value) for name, value in node.items()}  # no schema but the fields of one, say
        kept = {name: value for name, value in node.items() if name not in _DESCRIPTION}
        if node["type"] == "typed-dict":
            kept["cls_name"] = kept.pop("cls").__name__  # all that the core needs of it
        return {name: _plain(value) for name, value in kept.items()}
    if isinstance(node, list | tuple):
        return [_plain(each) for each in node]
    if isinstance(node, str):
        return re.sub(r"(?<=\w):\d{6,}", "", node)  # a reference ends in an address
    if node is None or isinstance(node, bool | int | float):
        return node
    return {"$": _name(node)}


def _name(used: type | Callable[..., Any]) -> str:
    if not isinstance(used, type) and used not in checks.ALL:
        raise TypeError(f"{used!r} is none of the checks in chat/checks.py")
    return used.__name__


def main(file: Path = COMPILED) -> None:
    """Write the file anew."""
    file.write_text(written(compiled()), encoding="utf-8")


if __name__ == "__main__":
    main()
