"""Stored completions: retrieve, messages, list, update, delete, in OpenAI's shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from chatapi.errors import BadRequest, NotFound
from chatapi.ids import is_completion_id
from chatapi.store.completions import Completions, Filter, Stored
from chatapi.store.records import Stale

MAX_PAGE = 100
Tags: TypeAlias = Callable[[str, Mapping[str, str]], frozenset[bytes]]
"""(project, metadata) → the digests by which a list finds what carries it."""


def packed(messages: Sequence[Mapping[str, Any]], completion: Mapping[str, Any]) -> bytes:
    """The body that is sealed."""
    body = {"messages": messages, "completion": completion}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


class StoredChats:
    """The service behind `/v1/chat/completions/{id}` and the list. Everything is the calling project's own."""

    def __init__(self, completions: Completions, tags: Tags) -> None:
        self._completions = completions
        self._tags = tags

    def retrieve(self, project: str, completion_id: str) -> dict[str, Any]:
        """The completion. NotFound or SubjectErased."""
        completion: dict[str, Any] = self._load(project, completion_id)["completion"]
        return completion

    def update(self, project: str, completion_id: str, metadata: dict[str, str]) -> dict[str, Any]:
        """Put `metadata` in place of what it had; everything else, its expiry too, stays. NotFound, SubjectErased, and
        Stale where others change it all the time."""
        for last in (False, False, True):
            stored = self._stored(project, completion_id)
            body = json.loads(stored.body)
            completion: dict[str, Any] = {**body["completion"], "metadata": metadata}
            try:
                changed = packed(body["messages"], completion)
                self._completions.replace(stored, changed, tags=self._tags(project, metadata))
            except Stale:
                if last:
                    raise
            else:
                break
        return completion

    def messages(self, project: str, completion_id: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The messages that were sent, each with an id `<completion id>-<index>`."""
        messages = self._load(project, completion_id)["messages"]
        data = [_message(message, f"{completion_id}-{index}") for index, message in enumerate(messages)]
        limit, descending, after = paging(query)
        if descending:
            data.reverse()
        if after is not None:
            ids = [message["id"] for message in data]
            data = data[ids.index(after) + 1 :] if after in ids else []
        return page(data[:limit], more=len(data) > limit)

    def list(self, project: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of completions. With a filter, `model` or `metadata[key]`, only what the locators let through is
        decrypted, and then compared."""
        limit, descending, after = paging(query)
        if after is not None and not is_completion_id(after):
            raise BadRequest("after is the id of a completion.", code="invalid_value", param="after")
        model = query.get("model")
        wanted = {
            name[9:-1]: value for name, value in query.items() if name.startswith("metadata[") and name[-1] == "]"
        }
        if len(wanted) > 16:
            raise BadRequest("metadata has at most 16 keys.", code="invalid_value", param="metadata")

        def matches(body: bytes) -> bool:
            completion = json.loads(body)["completion"]
            metadata = completion["metadata"]
            return model in (None, completion["model"]) and all(metadata.get(k) == v for k, v in wanted.items())

        sieve = Filter(model, self._tags(project, wanted) if wanted else frozenset())
        found, more = self._completions.list(
            project, after=after, limit=limit, descending=descending, sieve=sieve, wanted=matches
        )
        return page([json.loads(stored.body)["completion"] for stored in found], more=more)

    def delete(self, project: str, completion_id: str) -> dict[str, Any]:
        """Delete it."""
        if not is_completion_id(completion_id):
            raise NotFound
        self._completions.delete(project, completion_id)
        return {"object": "chat.completion.deleted", "id": completion_id, "deleted": True}

    def _load(self, project: str, completion_id: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self._stored(project, completion_id).body)
        return body

    def _stored(self, project: str, completion_id: str) -> Stored:
        if not is_completion_id(completion_id):
            raise NotFound
        return self._completions.load(project, completion_id)


def _message(message: dict[str, Any], message_id: str) -> dict[str, Any]:
    """Text in `content`; content that was sent in parts in `content_parts`, as OpenAI has it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    return {
        "name": None,
        "refusal": None,
        "annotations": [],
        **message,
        "id": message_id,
        "content": None if parts is not None else content,
        "content_parts": parts,
    }


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
