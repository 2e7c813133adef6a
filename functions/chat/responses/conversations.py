"""Conversations and their items, as records of the data subjects whose content they are.

A conversation lies with the data subject that it was made for. An item lies with the data subject of the request that
brought it, under that person's key, so an erasure takes a person's items out of every conversation and leaves the rest;
the conversation itself knows whose items it has (`Shared.people`). All of it ends when the conversation ends.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chat.responses.translate import PREFIXES, Item
from chatapi.errors import BadRequest, Conflict, NotFound, ProcessingRestricted, SubjectErased
from chatapi.ids import token_of
from chatapi.store.records import Records, Stale
from chatapi.store.sealed import Record
from chatapi.vault import SubjectHandle, Vault
from chatapi.verdict import MAX_BODY_BYTES

PREFIX = "conv_"
MOST_PEOPLE = 16
_PAGE = 50
_ROUNDS = 3

Person = tuple[str, int]
"""A data subject and the generation of its key."""


@dataclass(frozen=True)
class Shared:
    """A conversation as it was read, and the handle of the data subject that it lies with."""

    handle: SubjectHandle
    record: Record
    metadata: dict[str, str]
    created: int
    people: tuple[Person, ...]

    def wire(self) -> dict[str, Any]:
        """OpenAI's shape."""
        head = {"id": self.record.id, "object": "conversation"}
        return {**head, "created_at": self.created, "metadata": self.metadata}

    def body(self) -> bytes:
        """What is sealed."""
        return _json({"metadata": self.metadata, "created": self.created, "people": self.people})


class Conversations:
    """The repository of conversations and items."""

    def __init__(self, records: Records, vault: Vault) -> None:
        self._records = records
        self._vault = vault

    def create(
        self, handle: SubjectHandle, conversation: str, metadata: dict[str, str], now: float, until: int
    ) -> Shared:
        """A new, empty one, that ends at `until`."""
        blank = Record("conversation", conversation, "", 0, b"", 0)
        made = Shared(handle, blank, metadata, int(now), (_person(handle),))
        [record] = self._records.put(handle, "conversation", [(conversation, made.body())], created=now, until=until)
        return replace(made, record=record)

    def find(self, project: str, conversation: str) -> Shared:
        """NotFound where it is not this project's, SubjectErased where its key is gone."""
        if token_of(PREFIX, conversation) is None:
            raise NotFound
        handle, record = self._records.find(project, "conversation", conversation)
        body = json.loads(record.body)
        people = tuple((subject, generation) for subject, generation in body["people"])
        return Shared(handle, record, body["metadata"], body["created"], people)

    def describe(self, shared: Shared, metadata: dict[str, str]) -> Shared:
        """Replace the metadata."""
        changed = replace(shared, metadata=metadata)
        return replace(changed, record=self._records.update(shared.handle, shared.record, changed.body()))

    def delete(self, shared: Shared) -> None:
        """Delete it, and the items of everybody in it."""
        for handle in self._handles(shared):
            self._records.delete(handle, "conversation", shared.record.id, children=("item", "statement"))

    def add(self, shared: Shared, handle: SubjectHandle, items: Sequence[Item], until: int | None = None) -> None:
        """Add items of the handle's data subject; each has its id. `until` can only tighten their term.

        NotFound where the conversation went meanwhile.
        """
        shared = self._joined(shared, handle)
        parent = shared.record.id
        bodies = [(_token(item["id"]), _json(item)) for item in items]
        self._records.put(handle, "item", bodies, parent=parent, until=min(shared.record.expires, until or 1 << 62))
        try:
            self.find(handle.project, parent)
        except Exception:
            # Deleted in between, or nobody knows: then these are nobody's to find, and the caller is told so.
            for token, _ in bodies:
                self._records.delete(handle, "item", token, parent=parent)
            raise

    def item(self, shared: Shared, wanted: str) -> Item:
        """One item. NotFound."""
        return self._held(shared, wanted)[1]

    def remove(self, shared: Shared, wanted: str) -> None:
        """Delete one item. NotFound."""
        handle, item = self._held(shared, wanted)
        self._records.delete(handle, "item", _token(item["id"]), parent=shared.record.id)

    def items(self, shared: Shared, *, after: str | None = None, descending: bool = False) -> Iterator[Item]:
        """The items in the order in which they came, of everybody who is not erased, read page by page."""
        cursor = None if after is None else _token(after)
        # An item may be as large as a request, and of everybody a page is in memory at once.
        size = max(1, _PAGE // len(shared.people))
        parent = shared.record.id
        everybody = [self._of(handle, parent, cursor, descending, size) for handle in self._handles(shared)]
        return heapq.merge(*everybody, key=lambda item: _token(item["id"]), reverse=descending)

    def _of(self, handle: SubjectHandle, parent: str, after: str | None, descending: bool, size: int) -> Iterator[Item]:
        while True:
            page, more = self._records.page(
                handle, "item", parent=parent, after=after, limit=size, descending=descending
            )
            for record in page:
                yield json.loads(record.body)
            if not more:
                return
            after = page[-1].id

    def _handles(self, shared: Shared) -> Iterator[SubjectHandle]:
        yield shared.handle
        for person in shared.people:
            if person != _person(shared.handle):
                try:
                    yield self._vault.reader(shared.handle.project, *person)
                except SubjectErased:
                    continue  # nobody can read those items any more, and the erasure deletes them
                except ProcessingRestricted:
                    continue  # they are kept and not used (GDPR Art. 18); the others' are

    def _held(self, shared: Shared, wanted: str) -> tuple[SubjectHandle, Item]:
        if not any(token_of(prefix, wanted) for prefix in PREFIXES):
            raise NotFound
        for handle in self._handles(shared):
            try:
                record = self._records.get(handle, "item", _token(wanted), parent=shared.record.id)
            except NotFound:
                continue
            item: Item = json.loads(record.body)
            if item["id"] == wanted:
                return handle, item
        raise NotFound

    def _joined(self, shared: Shared, handle: SubjectHandle) -> Shared:
        """The conversation with the handle's data subject among its people."""
        for _ in range(_ROUNDS):
            if _person(handle) in shared.people:
                return shared
            if len(shared.people) >= MOST_PEOPLE:
                raise BadRequest(
                    "A conversation has the items of at most 16 data subjects.",
                    code="invalid_value",
                    param="conversation",
                )
            changed = replace(shared, people=(*shared.people, _person(handle)))
            try:
                return replace(changed, record=self._records.update(shared.handle, shared.record, changed.body()))
            except Stale:
                shared = self.find(handle.project, shared.record.id)
        raise Conflict


def bounded(items: Iterator[Item], limit: int) -> tuple[list[Item], bool]:
    """The first `limit` items, fewer where they are more than 4 MiB together, and whether there are more."""
    found: list[Item] = []
    size = 0
    for item in items:
        size += len(_json(item))
        if len(found) == limit or (found and size > MAX_BODY_BYTES):
            return found, True
        found.append(item)
    return found, False


def _person(handle: SubjectHandle) -> Person:
    return handle.subject, handle.generation


def _token(item: str) -> str:
    return item.rpartition("_")[2]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
