"""No body takes more memory than the function has: each wrong item of a list would be an error of its own, a hundred
times as large, so every list stops at the first one or is short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from chat.embeddings import EmbeddingsRequest
from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate, ResponseCreate
from chat.wire import ChatRequest, CompletionUpdate

BODIES = (
    ChatRequest,
    CompletionUpdate,
    EmbeddingsRequest,
    ResponseCreate,
    ConversationCreate,
    ConversationUpdate,
    ItemsCreate,
)
SHORT = 4096


def lists(schema: Any) -> Iterator[dict[str, Any]]:
    """Every list in a schema of pydantic's core."""
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            yield schema
        for inner in schema.values():
            yield from lists(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from lists(inner)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_every_list_of_a_body_is_short_or_stops_at_the_first_wrong_item(body: type[BaseModel]) -> None:
    body.model_rebuild(force=True)
    found = list(lists(body.__pydantic_core_schema__))
    assert found or "Update" in body.__name__
    assert [each for each in found if not each.get("fail_fast") and each.get("max_length", SHORT + 1) > SHORT] == []
