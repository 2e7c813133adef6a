"""Reading encrypted records under a data subject's handle: by id, many at once, in pages, or every one of a kind.

The layout of the rows, and writing them: `chatapi.store.records`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, groupby
from typing import TYPE_CHECKING

from chatapi.errors import NotFound
from chatapi.store.items import Item, Table, pages
from chatapi.store.keys import locator_pk, record_sk
from chatapi.store.sealed import Record, chunks_of, opened, partition

if TYPE_CHECKING:
    from chatapi.vault import SubjectHandle, Vault

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What ids are made of."""
PAGE = 50  # rows, of up to 350 KB
_RACES = 2


class Reading:
    """The reading half of the repository. `table` is the catalogued Records table."""

    def __init__(self, table: Table, vault: Vault) -> None:
        self._table = table
        self._vault = vault

    def find(self, project: str, kind: str, record_id: str) -> tuple[SubjectHandle, Record]:
        """A record of a located kind by its id: NotFound where it is not this project's, SubjectErased where its key is
        gone. The handle serves further calls of the same request."""
        locator = self.locator(project, record_id)
        handle = self._vault.reader(project, locator["subject"], locator["generation"])
        return handle, self.get(handle, kind, record_id)

    def locator(self, project: str, record_id: str) -> Item:
        """The row that leads from an id to its data subject. NotFound where it is not this project's."""
        locator = self._table.get(locator_pk(project), record_id) if ID.fullmatch(record_id) else None
        if locator is None:
            raise NotFound
        return locator

    def get(self, handle: SubjectHandle, kind: str, record_id: str, *, parent: str = "") -> Record:
        """One record. NotFound where there is none, or it has expired."""
        asked(record_id, parent)
        head = self._table.get(partition(handle), record_sk(kind, record_id, parent))
        if head is None:
            raise NotFound
        return self._opened(handle, record_id, parent, head, again=True)

    def get_many(self, handle: SubjectHandle, kind: str, ids: Sequence[str], *, parent: str = "") -> list[Record]:
        """Those of `ids` that are there, in the order of `ids`; 100 a call."""
        wanted = {record_sk(kind, one, parent): one for one in ids if ID.fullmatch(one)}
        heads = {row["sk"]: row for row in self._table.get_all([(partition(handle), sk) for sk in wanted])}
        found: list[Record] = []
        for sk, one in wanted.items():
            with suppress(NotFound):
                if sk in heads:
                    found.append(self._opened(handle, one, parent, heads[sk], again=True))
        return found

    def page(
        self,
        handle: SubjectHandle,
        kind: str,
        *,
        parent: str = "",
        after: str | None = None,
        limit: int = 20,
        descending: bool = False,
    ) -> tuple[list[Record], bool]:
        """A page of a kind, or of the children of `parent`, in the order of their ids, past the id `after`; and whether
        there is more. A record that was cut off in the middle of being written is not in it."""
        asked(after or "-", parent)
        found: list[Record] = []
        for record_id, rows in self._groups(handle, kind, parent, after, limit, descending):
            head = next((row for row in rows if row["sk"] == record_sk(kind, record_id, parent)), None)
            if head is None or record_id == after:
                continue
            if len(found) == limit:
                return found, True
            try:
                found.append(self._opened(handle, record_id, parent, head, rows))
            except NotFound:
                continue
        return found, False

    def every(self, handle: SubjectHandle, kind: str, *, nested: bool = False) -> Iterator[Record]:
        """Every record of a kind in the order of their keys, read as the store pages: for exports. `nested`: of a kind
        that lies below other records, whosever those are: a person's items may be in somebody else's conversation."""
        depth = 3 if nested else 2
        rows = chain.from_iterable(pages(self._table, partition(handle), record_sk(kind, "")))
        for place, group in groupby(rows, key=lambda row: tuple(row["sk"].split("#")[1:depth])):
            found, parent = list(group), place[0] if nested else ""
            head = next((row for row in found if row["sk"] == record_sk(kind, place[-1], parent)), None)
            if head is not None:
                with suppress(NotFound):
                    yield self._opened(handle, place[-1], parent, head, found)

    def _groups(
        self, handle: SubjectHandle, kind: str, parent: str, after: str | None, limit: int, descending: bool
    ) -> Iterator[tuple[str, list[Item]]]:
        """Record by record all its rows: heads and chunks of one record lie side by side."""
        prefix = record_sk(kind, "", parent)
        cursor = record_sk(kind, after, parent) if after else None
        size = min(limit + 2, 2 * PAGE + 2)

        def rows() -> Iterator[Item]:
            start = cursor
            while True:
                page = self._table.query(partition(handle), prefix, after=start, limit=size, descending=descending)
                yield from page
                if len(page) < size:
                    return
                start = page[-1]["sk"]

        for record_id, group in groupby(rows(), key=lambda row: str(row["sk"][len(prefix) :].partition("#")[0])):
            yield record_id, list(group)

    def _opened(
        self,
        handle: SubjectHandle,
        record_id: str,
        parent: str,
        head: Item,
        rows: Sequence[Item] = (),
        *,
        again: bool = False,
    ) -> Record:
        """The record of a head. Its chunks are looked for in `rows`, and asked for where they are not all there.
        NotFound where one is missing; with `again` only after the head was read anew, since an update may have taken
        the chunks away meanwhile."""
        parts = [head]
        if head["chunks"] > 1:
            prefix = chunks_of(head)
            parts += sorted((row for row in rows if row["sk"].startswith(prefix)), key=lambda row: str(row["sk"]))
            if len(parts) != head["chunks"]:
                parts = [head, *self._table.query(partition(handle), prefix)]
        record = opened(handle, record_id, parent, parts)
        for _ in range(_RACES if again and record is None else 0):
            fresh = self._table.get(head["pk"], head["sk"])
            if fresh is None:
                break
            with suppress(NotFound):
                return self._opened(handle, record_id, parent, fresh)
        if record is None:
            raise NotFound
        return record


def asked(*ids: str) -> None:
    """NotFound where an id is none that a record could have."""
    if not all(ID.fullmatch(one) for one in ids if one) or not ids[0]:
        raise NotFound
