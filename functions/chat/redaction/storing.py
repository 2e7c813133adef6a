"""What is stored under redaction: no value, and nothing to restore one from. The map ends with its request."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any, TypeVar

from chat.redaction.detect import Detector
from chat.redaction.placeholders import Placeholders
from chat.redaction.requests import JSON_STARTS, Walk, closed, gathered, not_possible
from chatapi.errors import RedactionFailed
from chatapi.redaction import kinds_of

T = TypeVar("T")
_NOT_TEXT = frozenset(
    "id call_id item_id type role status object model name previous_response_id service_tier".split()  # noqa: SIM905
)
_SCHEMAS = frozenset({"tools", "text"})
"""Of what is stored, `_NOT_TEXT` are ids and words of the API; in schemas any field may be named so."""


def stored_form(value: T, walk: Walk) -> T:
    """A JSON value of what is stored with its texts changed; ids, names and the caller's `metadata` stay."""

    def of(each: Any) -> Any:
        if isinstance(each, dict):
            return {name: field(name, inner) for name, inner in each.items()}
        if isinstance(each, list):
            return [of(inner) for inner in each]
        if not isinstance(each, str):
            return each
        return walk.json(each) if each.lstrip()[:1] in JSON_STARTS else walk.change(each)

    def field(name: str, inner: Any) -> Any:
        if name in _SCHEMAS and not isinstance(inner, str):
            return walk.value(inner)
        if name == "arguments" and isinstance(inner, str):
            return walk.json(inner)
        if name == "encrypted_content":
            return None  # it was sealed before anything was redacted
        if name == "file_data" and isinstance(inner, str):
            return walk.file(inner, "input")
        kept = name == "metadata" or (name in _NOT_TEXT and isinstance(inner, str))
        return inner if kept else of(inner)

    changed: T = of(value)
    return changed


def replaced(value: T, kinds: Collection[str], *, above: int = 0) -> T:
    """A JSON value as it is stored for good, with a placeholder above that number for each value of these kinds.
    TooManyValues, BadRequest."""
    texts = gathered(lambda walk: stored_form(value, walk))
    return stored_form(value, Walk(Placeholders(Detector(kinds), texts, above=above).hide))


def redacted_items(items: list[dict[str, Any]], demand: str) -> list[dict[str, Any]]:
    """Items that are put into a conversation by themselves, as they are stored. Their placeholders are numbered from
    somewhere far off, since nobody reads here what else the conversation holds. BadRequest `redaction_not_possible` for
    images and for files other than plain text, RedactionFailed whatever else is the matter."""
    for index, item in enumerate(items):
        content = item.get("content", item.get("output"))
        for at, part in enumerate(content if isinstance(content, list) else ()):
            here = f"items[{index}].content[{at}]"
            if part["type"] == "input_image":
                raise not_possible(here)
            if part["type"] == "input_file":
                Walk(str).file(part["file_data"], here)
    failed = RedactionFailed("The items could not be redacted, so nothing was stored.")
    return closed(lambda: replaced(items, kinds_of(demand), above=int.from_bytes(os.urandom(3))), "items", failed)
