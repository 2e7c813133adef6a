"""The schemas of the chat function, in functions/privacy/openapi.json: `python -m local.openapi` writes them.

Those of what is sent are pydantic's, of the very models that validate, so a description and what is accepted cannot
part; those of what is answered are made of OpenAI's own types (`local.answers`). The rest of the document is written by
hand: the chat function has no Powertools, which could have made it, on the path of a chat (docs/performance.md). A test
compares the routes with the template, and these schemas with the models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chat.embeddings import EmbeddingsRequest
from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate, ResponseCreate
from chat.wire import ChatRequest, CompletionUpdate
from local.answered import REF
from local.answers import answers
from local.settings import ROOT

DOCUMENT = ROOT / "functions" / "privacy" / "openapi.json"
_CHAT: tuple[type[BaseModel], ...] = (ChatRequest, CompletionUpdate, EmbeddingsRequest)
_RESPONSES: tuple[type[BaseModel], ...] = (ResponseCreate, ConversationCreate, ConversationUpdate, ItemsCreate)


def schemas() -> dict[str, Any]:
    """Every schema of the chat function's requests and answers, by its name in the document."""
    chat, responses = _of(_CHAT), _of(_RESPONSES)
    own = {model.__name__ for model in _RESPONSES}
    # Both surfaces have a Message and a Tool: those of responses are told apart, unless they are the very same.
    names = {
        name: name if name in own or responses[name] == chat.get(name) else f"Response{_short(name)}"
        for name in responses
    }
    requests = chat | {names[name]: _renamed(schema, names) for name, schema in responses.items()}
    return requests | answers(requests)


def updated(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the schemas as they are now; those that it has by hand stay where they are."""
    made, kept = schemas(), document["components"]["schemas"]
    components = {
        **document["components"],
        "schemas": {name: made.get(name, kept.get(name)) for name in {**kept, **made}},
    }
    used = _used({"paths": document["paths"], "components": components})
    components["schemas"] = {name: schema for name, schema in components["schemas"].items() if name in used}
    return {**document, "components": components}


def written(document: dict[str, Any]) -> str:
    """The document as text."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _of(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    _, made = models_json_schema([(model, "validation") for model in models], ref_template=REF + "{model}")
    return {name: _plain(schema, top=True) for name, schema in made["$defs"].items()}


def _plain(node: Any, *, top: bool = False) -> Any:
    """Without the titles that pydantic makes of names, and without docstrings, which speak to who reads the code."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    dull = {name for name in ("title", "description" if top else "title") if isinstance(node.get(name), str)}
    return {name: _plain(value) for name, value in node.items() if name not in dull}


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(each, names) for each in node]
    if isinstance(node, dict):
        return {name: _renamed(value, names) for name, value in node.items()}
    return REF + names[node.removeprefix(REF)] if isinstance(node, str) and node.startswith(REF) else node


def _short(name: str) -> str:
    """Two classes of one name are told apart by their modules: an item is of `shapes`, a parameter of `wire`."""
    *path, last = name.split("__")
    return last + ("Item" if path and path[-1] == "shapes" else "")


def _used(document: dict[str, Any]) -> set[str]:
    """The names of the schemas that a route leads to."""
    found: set[str] = set()
    left = [json.dumps(document["paths"]), json.dumps(document["components"]["responses"])]
    while left:
        for part in left.pop().split(f'"$ref": "{REF}')[1:]:
            name = part.partition('"')[0]
            if name not in found:
                found.add(name)
                left.append(json.dumps(document["components"]["schemas"][name]))
    return found


def main(file: Path = DOCUMENT) -> None:
    """Write the document anew."""
    file.write_text(written(updated(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")


if __name__ == "__main__":
    main()
