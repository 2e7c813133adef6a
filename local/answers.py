"""The schemas of what the OpenAI routes answer, for the published description (`local.openapi`).

They are made of the openai package's own types, which are generated from OpenAI's specification, and cut to what is
answered here: kinds of items, tools and events that never occur are left out of their unions, fields that never have a
value are null or gone, ours are added, and nothing else may be there. Every answer of the suites is held to them
(tests/support/strict.py), and Schemathesis holds the API to them (tests/contract/sdk/test_schemathesis.py).
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from local.answered import (
    ANSWERS,
    GONE,
    KINDS,
    NARROWER,
    NONE,
    NULL,
    OPTIONAL,
    OURS,
    REF,
    STORED,
    TEXT_OR_NULL,
)

_OBFUSCATION = {"type": "string", "description": "Padding, where it was asked for"}


def answers(others: dict[str, Any]) -> dict[str, Any]:
    """Every schema of the OpenAI routes' answers, by its name in the document. `others` are those of what is sent and
    of our own answers: a stored completion has what it was asked with, and no two schemas may share a name."""
    adapters = [(name, "validation", TypeAdapter(shape)) for name, shape in ANSWERS.items()]
    roots, told = TypeAdapter.json_schemas(adapters, ref_template="{model}")  # type: ignore[arg-type]
    cut = _Cut(told["$defs"])
    made = {name: cut.schema(schema) for name, schema in told["$defs"].items()}
    names = _names(made, taken={*others, *ANSWERS})
    wanted = {name: cut.schema(roots[name, "validation"]) for name in ANSWERS}
    for name, schema in wanted.items():
        if set(schema) == {"$ref"}:
            names[schema["$ref"]] = name
    found = {names[key]: _pointing(schema, names) for key, schema in made.items()}
    found |= {name: _pointing(schema, names) for name, schema in wanted.items() if set(schema) != {"$ref"}}
    for name in [name for name in found if name.endswith("DeltaEvent")]:
        found[name]["properties"]["obfuscation"] = _OBFUSCATION
    return found | _by_hand(found, others)


class _Cut:
    """Cuts pydantic's schemas, `defs`, to what is answered."""

    def __init__(self, defs: dict[str, Any]) -> None:
        self._defs = defs

    def schema(self, node: Any) -> Any:
        """The schema without what never occurs, and closed."""
        if isinstance(node, list):
            return [self.schema(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "properties" in node:
            return self._object(node)
        if "anyOf" in node:
            return self._union(node["anyOf"])
        return {name: self.schema(value) for name, value in node.items() if name not in ("title", "default")}

    def _object(self, node: dict[str, Any]) -> dict[str, Any]:
        name = node["title"]
        here = NARROWER.get(name, {})
        fields = {
            field: here.get(field) or self.schema(schema)
            for field, schema in node["properties"].items()
            if field not in GONE and here.get(field, schema) is not None
        }
        optional = OPTIONAL.get(name, frozenset())
        told = _first_sentence(node["description"]) if "description" in node else ""
        return {
            "type": "object",
            **({"description": told} if told else {}),
            "required": [field for field in fields if field not in optional],
            "properties": fields | OURS.get(name, {}),
            "additionalProperties": False,
        }

    def _union(self, members: list[Any]) -> dict[str, Any]:
        free = any(member == {"type": "string"} for member in members)
        kept = [
            self.schema(member)
            for member in members
            if not (free and "enum" in member) and self._occurs(self._defs.get(member.get("$ref"), member))
        ]
        if not kept:
            return {"not": {}}  # of a type that nothing leads to
        plain = [member for member in kept if set(member) == {"type"}]
        if len(plain) == len(kept):
            types = [member["type"] for member in plain]
            return {"type": types if len(types) > 1 else types[0]}
        return {"anyOf": kept} if len(kept) > 1 else dict(kept[0])

    @staticmethod
    def _occurs(member: dict[str, Any]) -> bool:
        kind = member.get("properties", {}).get("type", {})
        kinds = kind.get("enum") or ([kind["const"]] if "const" in kind else [])
        return not kinds or not KINDS.isdisjoint(kinds)


def _names(made: dict[str, Any], taken: set[str]) -> dict[str, str]:
    """A name for each of pydantic's, which are paths where two classes are called the same."""
    names: dict[str, str] = {}
    for key in made:
        *path, name = key.split("__")
        if path or name in taken:
            of = next((part for part in reversed(path) if _camel(part) != name), "answer")
            name = _camel(of) + name
        names[key] = name
    return names


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _pointing(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_pointing(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"] if node["$ref"].startswith(REF) else REF + names[node["$ref"]]}
    return {name: _pointing(value, names) for name, value in node.items()}


def _first_sentence(text: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(text.split()))
    return re.split(r"(?<=[.!?]) ", plain)[0]


_KINDS_OF_VALUES = {"type": "array", "items": {"type": "string"}}
_HANDLING: dict[str, Any] = {
    "gpc": {"const": "honored"},
    "sale": {"const": False},
    "sharing": {"const": False},
    "retained": {"enum": ["content", "none"]},
    "expires_at": {"type": ["integer", "null"]},
    "processor": {"type": "string"},
    "region": {"type": "string"},
    "training": {"type": "boolean"},
    "transfer": {"type": "string", "description": "The legal basis, where it is processed in another region"},
    "processor_retention_days": {"type": "integer", "minimum": 1},
    "purposes": _KINDS_OF_VALUES,
    "choices_readable": {"type": "boolean"},
    "sample_expires_at": {"type": "integer"},
    "redaction": {
        "type": "object",
        "required": ["kinds", "values"],
        "properties": {
            "kinds": _KINDS_OF_VALUES,
            "values": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "additionalProperties": False,
    },
}
_SOMETIMES = frozenset(_HANDLING) - {"retained", "expires_at", "processor", "region", "training"}
_FACTS: dict[str, Any] = {
    "capabilities": _KINDS_OF_VALUES,
    "context_tokens": {"type": "integer"},
    "fallback": _KINDS_OF_VALUES,
    "processor": {"type": "string"},
    "prompt_cache": {"enum": ["off", "key", "salt"]},
    "processor_retention_days": {"type": "integer", "minimum": 0},
    "region": {"type": "string"},
    "training": {"type": "boolean"},
    "transfer": TEXT_OR_NULL,
}
_METADATA = {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}}


def _by_hand(found: dict[str, Any], requests: dict[str, Any]) -> dict[str, Any]:
    """What OpenAI has no type for, or one that does not say what is answered."""
    asked = requests["ChatRequest"]["properties"]
    completion = found["ChatCompletion"]
    stored = {**completion["properties"], "metadata": _METADATA, **{name: asked[name] for name in STORED}}
    del stored["data_handling"]
    message = found["ChatCompletionStoreMessage"]
    said = message["properties"] | {
        "role": requests["Message"]["properties"]["role"],
        "annotations": NONE,
        "content_parts": {"anyOf": [{"type": "array", "items": {"$ref": REF + "Part"}}, NULL]},
        "name": TEXT_OR_NULL,
        "tool_call_id": {"type": "string"},
    }
    return {
        "StoredChatCompletion": {**completion, "properties": stored, "required": list(stored)},
        "ChatCompletionStoreMessage": {
            **message,
            "description": "A message that was sent with a stored completion.",
            "properties": said,
            "required": [name for name in said if name not in ("tool_calls", "tool_call_id")],
        },
        "ChatCompletionList": _page("StoredChatCompletion"),
        "ChatCompletionMessageList": _page("ChatCompletionStoreMessage"),
        "ResponseDeleted": _closed(
            {"id": {"type": "string"}, "object": {"const": "response.deleted"}, "deleted": {"const": True}}
        ),
        "ModelList": _closed({"object": {"const": "list"}, "data": _list_of("Model")}),
        "ModelFacts": _closed(_FACTS, "What the model can do and who processes it. A field of ours."),
        "DataHandlingReceipt": _closed(
            _HANDLING, "The receipt, where it was asked for. A field of ours.", optional=_SOMETIMES
        ),
    }


def _closed(fields: dict[str, Any], told: str = "", optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {
        "type": "object",
        **({"description": told} if told else {}),
        "required": [name for name in fields if name not in optional],
        "properties": fields,
        "additionalProperties": False,
    }


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": REF + name}}


def _page(name: str) -> dict[str, Any]:
    ends = {"first_id": TEXT_OR_NULL, "last_id": TEXT_OR_NULL, "has_more": {"type": "boolean"}}
    return _closed({"object": {"const": "list"}, "data": _list_of(name), **ends})
