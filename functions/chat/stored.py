"""Stored completions: retrieve, messages, list, delete, in OpenAI's shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatapi.errors import BadRequest, NotFound
from chatapi.ids import is_completion_id
from chatapi.store.completions import Completions

MAX_PAGE = 100


class StoredChats:
    """The service behind `/v1/chat/completions/{id}` and the list. Everything is the calling project's own."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    def retrieve(self, project: str, completion_id: str) -> dict[str, Any]:
        """The completion. NotFound or SubjectErased."""
        completion: dict[str, Any] = self._load(project, completion_id)["completion"]
        return completion

    def messages(self, project: str, completion_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The messages that were sent, each with an id `<completion id>-<index>`."""
        messages = self._load(project, completion_id)["messages"]
        data = [
            {"content": None, "name": None, **message, "id": f"{completion_id}-{index}"}
            for index, message in enumerate(messages)
        ]
        limit, descending, after = paging(query)
        if descending:
            data.reverse()
        if after is not None:
            ids = [message["id"] for message in data]
            data = data[ids.index(after) + 1 :] if after in ids else []
        return page(data[:limit], more=len(data) > limit)

    def list(self, project: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of completions, filtered by `model` and `metadata[key]` after decryption."""
        limit, descending, after = paging(query)
        if after is not None and not is_completion_id(after):
            raise BadRequest("after is the id of a completion.", code="invalid_value", param="after")
        model = query.get("model")
        wanted = {
            name[9:-1]: value for name, value in query.items() if name.startswith("metadata[") and name[-1] == "]"
        }

        def matches(body: bytes) -> bool:
            completion = json.loads(body)["completion"]
            metadata = completion["metadata"]
            return model in (None, completion["model"]) and all(metadata.get(k) == v for k, v in wanted.items())

        found, more = self._completions.list(project, after=after, limit=limit, descending=descending, wanted=matches)
        return page([json.loads(stored.body)["completion"] for stored in found], more=more)

    def delete(self, project: str, completion_id: str) -> dict[str, Any]:
        """Delete it."""
        if not is_completion_id(completion_id):
            raise NotFound
        self._completions.delete(project, completion_id)
        return {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}

    def _load(self, project: str, completion_id: str) -> dict[str, Any]:
        if not is_completion_id(completion_id):
            raise NotFound
        body: dict[str, Any] = json.loads(self._completions.load(project, completion_id).body)
        return body


def paging(query: Mapping[str, str]) -> tuple[int, bool, str | None]:
    """(limit, descending, after) of a list request. BadRequest on values outside."""
    limit, order = query.get("limit", "20"), query.get("order", "asc")
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= MAX_PAGE:
        raise BadRequest("limit is a number from 1 to 100.", code="invalid_value", param="limit")
    if order not in ("asc", "desc"):
        raise BadRequest("order is asc or desc.", code="invalid_value", param="order")
    return int(limit), order == "desc", query.get("after")


def page(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A list in OpenAI's shape."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
