"""The one way in for personal data: encrypted records of any kind, under a data subject's handle.

    handle = records.writer(project, subject)                   # the right to write; SubjectFrozen during an erasure
    records.put(handle, "conversation", [(id, body)])           # new records: one batch, then the generation check
    handle, record = records.find(project, "conversation", id)  # by id alone, where the kind is `located`
    record = records.update(handle, record, new_body)           # Stale where somebody else wrote first
    page, more = records.page(handle, "item", parent=id, after=cursor, limit=20)
    records.delete(handle, "conversation", id, children=("item",))

A body is bytes of any size; what they mean is the caller's codec (`json.dumps` of a wire model). A kind needs an entry
in policy/catalogue.toml (store `records`, fields pk, sk, kind, rev, chunks, write, body, ttl; `located = true` where
records are asked for by id alone) and a term in policy/retention.toml; export, erasure and retention follow from those.

    head     s#{project}#{subject}#{generation}   {kind}#{id}  or  {kind}#{parent}#{id}     body: chunk 0
    chunks   the same partition                   the head's key, #{write}#{index}          body: chunks 1, 2, …
    locator  l#{project}                          {id}                                      of located kinds

A body above 350 KB lies in several rows (an item has at most 400 KB). Chunks carry the random name of their write in
their key, and the head is written last and on condition of the revision before, so an update shows as a whole or not
at all. Key, index, count, write and revision are in the encryption context: what is moved or mixed does not open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatapi.catalogue import catalogue, expiry
from chatapi.clock import Clock
from chatapi.errors import Conflict
from chatapi.store.items import Collision, Item, Key, Table
from chatapi.store.keys import locator_pk, record_sk
from chatapi.store.marks import Marks
from chatapi.store.reading import ID, PAGE, Reading, asked
from chatapi.store.sealed import Owner, Record, chunks_of, locator_of, partition, rows_of
from chatapi.vault import SubjectFrozen

if TYPE_CHECKING:
    from chatapi.vault import SubjectHandle, Vault


class Stale(Conflict):
    """409: the record was changed since it was read. Read it again, and decide again."""

    code = "revision_conflict"
    message = "The resource was changed by another request at the same time. Read it again, then repeat the change."


class Records(Reading):
    """The repository. `table` is the catalogued Records table.

    What each method costs in calls: docs/vault.md. Ids have letters, digits, `_` and `-`; ValueError for others where
    something is written, NotFound where it is asked for.
    """

    def __init__(self, table: Table, vault: Vault, marks: Marks, clock: Clock) -> None:
        super().__init__(table, vault)
        self._marks = marks
        self._clock = clock

    def writer(self, project: str, subject: str, *, key: str | None = None) -> SubjectHandle:
        """The right to store for a subject, asked for before any work is done: SubjectFrozen during an erasure. `key`:
        the KMS key that the project brought (`Verdict.key`)."""
        return self._vault.writer(project, subject, key=key)

    def put(
        self,
        handle: SubjectHandle,
        kind: str,
        bodies: Sequence[tuple[str, bytes]],
        *,
        parent: str = "",
        created: float | None = None,
        ceiling_days: int | None = None,
        ceiling_seconds: int | None = None,
        until: int | None = None,
        absent: bool = False,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Record]:
        """Write new records, (id, body) each, under fresh random ids; with `absent` under any, Stale where one stands.

        They expire by the kind's term, counted from `created` (now where not given); the ceilings and `until` (POSIX
        seconds: the parent's end) can only tighten it. `told` is what their locators say besides, in the clear. On any
        failure everything is taken back.
        """
        since = self._clock.now() if created is None else created
        ttl = min(expiry(kind, since, ceiling_days, ceiling_seconds=ceiling_seconds), until or 1 << 62)
        rows, heads, made = list[Item](), list[Item](), list[Record]()
        for record_id, body in bodies:
            _checked(record_id, parent)
            head, *chunks = rows_of(handle, Record(kind, record_id, parent, 1, body, ttl))
            heads.append(head)
            rows += chunks
            made.append(Record(kind, record_id, parent, 1, body, ttl))
        locators = [locator_of(handle, record, told) for record in made] if catalogue().kinds[kind].located else []
        done: list[Item] = []
        try:
            for head in heads if absent else ():
                self._create(head)
                done.append(head)
            rest = [*rows, *([] if absent else heads), *locators]
            done += rest
            self._table.put_all(rest)
            self._check(handle)
        except BaseException:
            self._table.delete_all([(row["pk"], row["sk"]) for row in done])
            raise
        return made

    def update(self, handle: SubjectHandle, record: Record, body: bytes) -> Record:
        """Replace the body of `record`, as it was read; its term stays. Stale where it was changed or deleted since.

        Where an erasure came in between the former body is put back, for the case that the erasure is cancelled, and
        SubjectFrozen is raised; a row that the erasure has deleted already stays deleted.
        """
        new = record._replace(revision=record.revision + 1, body=body)
        standing = self._standing(handle, record)
        head, *chunks = rows_of(handle, new)
        self._marks.gone([(row["pk"], row["sk"]) for row in standing], record.revision)
        try:
            self._table.put_all(chunks)
            self._exchange(head, record.revision)
            self._check(handle)
        except BaseException:
            # Unknown whether the head was written: back to what stood, and only then away with the chunks. Where the
            # store does not answer that either, they stay and expire, and the record is whole in either state.
            with suppress(Collision):  # not written, or deleted by the erasure, or replaced by a later writer
                self._table.put(standing[0], expect={"rev": head["rev"], "body": head["body"]})
            self._table.delete_all([(row["pk"], row["sk"]) for row in chunks])
            raise
        self._table.delete_all([(row["pk"], row["sk"]) for row in standing[1:]])
        return new

    def delete(
        self, owner: Owner, kind: str, record_id: str, *, parent: str = "", children: Sequence[str] = ()
    ) -> None:
        """Delete a record with all its chunks, and of the kinds in `children` all whose parent it is. Marks are left,
        so that no backup brings it back. Nothing happens where it is not there. Pages: memory is bounded. It needs no
        key: a handle will do, and so will whoever names the generation."""
        asked(record_id, parent)
        pk, project = partition(owner), owner.project
        own = record_sk(kind, record_id, parent)
        locator: list[Key] = [(locator_pk(project), record_id)] if catalogue().kinds[kind].located else []
        # Locator and head first: from there on nobody reads it, however large the rest.
        self._gone([*locator, (pk, own)])
        for prefix in (own + "#", *(record_sk(child, "", record_id) for child in children)):
            after: str | None = None
            while rows := self._table.query(pk, prefix, after=after, limit=PAGE, expired=True):
                after = rows[-1]["sk"]
                self._gone([(pk, row["sk"]) for row in rows])

    def _gone(self, keys: Sequence[Key]) -> None:
        self._marks.gone(keys)
        self._table.delete_all(keys)

    def _create(self, head: Item) -> None:
        try:
            self._table.put(head, absent=True)
        except Collision as error:
            standing = error.item or {}
            if standing.get("ttl", 1 << 62) <= self._clock.now():  # it does not exist any more, TTL is only slow
                self._exchange(head, standing["rev"])
            else:
                _unless_ours(error, head)

    def _exchange(self, head: Item, revision: int) -> None:
        try:
            self._table.put(head, expect={"rev": revision})
        except Collision as error:
            _unless_ours(error, head)

    def _check(self, handle: SubjectHandle) -> None:
        """The generation check after every write (docs/vault.md)."""
        if not self._vault.still_open(handle):
            raise SubjectFrozen

    def _standing(self, handle: SubjectHandle, record: Record) -> list[Item]:
        """The rows of `record` as they stand, head first. Stale where it is another revision by now, or gone."""
        head = self._table.get(partition(handle), record_sk(record.kind, record.id, record.parent))
        if head is None or head["rev"] != record.revision:
            raise Stale
        return [head, *(self._table.query(head["pk"], chunks_of(head)) if head["chunks"] > 1 else ())]


def _unless_ours(error: Collision, head: Item) -> None:
    """A write whose answer was lost is sent again by the client and collides with itself: the salt tells."""
    if (error.item or {}).get("body") != head["body"]:
        raise Stale from None


def _checked(*ids: str) -> None:
    if not all(ID.fullmatch(one) for one in ids if one) or not ids[0]:
        raise ValueError("an id has other characters than letters, digits, _ and -")
