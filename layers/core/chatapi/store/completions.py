"""Stored completions: the one way to the `completion` and `locator` rows of the Records table.

    save:  read the Vault ─▶ seal ─▶ chunks ─▶ locator ─▶ read the Vault again ─▶ closed meanwhile? take it back
                                     (the locator comes last: without it nothing is visible)
    load:  locator ─▶ read the Vault (410 where the subject was erased) ─▶ chunks ─▶ open

A body may be larger than a DynamoDB item (400 KB), so it lies in chunks; the index and the number of chunks are part
of the encryption context, so a missing, doubled or exchanged chunk does not open. Each chunk counts its writes (`rev`,
from 1, absent where it was written once), so that a corrected one leaves a mark of what may not come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import Conflict, NotFound, ProcessingRestricted
from chatapi.store.items import Change, Collision, Item, Key, Table
from chatapi.store.keys import COMPLETION, chunk_attribute, completion_sk, locator_pk, record_sk, subject_pk
from chatapi.store.marks import Marks
from chatapi.vault import SubjectErased, SubjectFrozen

if TYPE_CHECKING:
    from chatapi.vault import SubjectHandle, Vault

CHUNK_BYTES = 310 * 1024
"""The last chunk may be larger: an update of the metadata (40 KB at most) adds none. DynamoDB's bound is 400 KB."""
_ROOM = 48 * 1024
TABLE = "records"
_PAGE = 50
_LOCATORS_A_PAGE = 1000


class Stored(NamedTuple):
    """A stored completion: its id and its decrypted body (the bytes that were saved)."""

    id: str
    body: bytes


class Filter(NamedTuple):
    """What a list is to show, as far as locators tell: a model, and digests that the metadata must have."""

    model: str | None = None
    tags: frozenset[bytes] = frozenset()

    def passes(self, locator: Item) -> bool:
        """Whether it may be wanted. A locator that says nothing (of an older version) may be."""
        if self.model is not None and locator.get("model", self.model) != self.model:
            return False
        return "model" not in locator or self.tags <= frozenset(locator.get("tags", ()))

    def __bool__(self) -> bool:
        return self.model is not None or bool(self.tags)


class Completions:
    """The repository. `table`: catalogued Records; `marks` keeps what was deleted out of restored backups."""

    def __init__(self, table: Table, vault: Vault, marks: Marks, clock: Clock) -> None:
        self._table = table
        self._vault = vault
        self._marks = marks
        self._clock = clock

    def open_for(self, project: str, subject: str, *, key: str | None = None) -> SubjectHandle:
        """The right to store for a subject, asked for before any work is done: SubjectFrozen during an erasure. `key`:
        the KMS key that the project brought (`Verdict.key`)."""
        return self._vault.writer(project, subject, key=key)

    def save(
        self,
        handle: SubjectHandle,
        completion_id: str,
        body: bytes,
        *,
        created: float | None = None,
        ceiling_days: int | None = None,
        ceiling_seconds: int | None = None,
        model: str | None = None,
        tags: frozenset[bytes] = frozenset(),
    ) -> int:
        """Seal and write; returns when it expires (POSIX seconds), counted from `created`, now where not given.
        `model` and `tags` (digests of the metadata) go into the locator, for lists.

        SubjectFrozen where an erasure came in between, another ApiError or AwsError where a store does not answer:
        then it is taken back, since the caller is told that nothing was kept.
        """
        since = self._clock.now() if created is None else created
        ttl = expiry("completion", since, ceiling_days, ceiling_seconds=ceiling_seconds)
        parts = _parts(body)
        rows = [self._row(handle, completion_id, index, parts, ttl) for index in range(len(parts))]
        locator = {
            "pk": locator_pk(handle.project),
            "sk": completion_id,
            "kind": "locator",
            "subject": handle.subject,
            "generation": handle.generation,
            "chunks": len(parts),
            "ttl": ttl,
            **({"model": model} if model is not None else {}),
            **({"tags": tags} if tags else {}),
        }
        try:
            self._table.put_all([*rows, locator])
            if not self._vault.still_open(handle):
                raise SubjectFrozen
        except Exception:
            self._remove(locator)
            raise
        return ttl

    def load(self, project: str, completion_id: str) -> Stored:
        """The completion, if it is this project's: NotFound otherwise, SubjectErased where its key is gone."""
        return self._open(self._locator(project, completion_id))

    def replace(self, project: str, completion_id: str, body: bytes, *, tags: frozenset[bytes]) -> None:
        """Put `body` in place of what is stored, with what differs near its end: the chunks that changed are written,
        each only where it still stands as it was read, so that nothing that was deleted meanwhile comes back. Id,
        subject and expiry stay. NotFound, SubjectErased; SubjectFrozen during an erasure; Conflict where it was changed
        meanwhile.
        """
        locator, handle, rows = self._standing(project, completion_id)
        kept = [self._part(handle, row, index, len(rows)) for index, row in enumerate(rows)]
        parts = _parts(body, len(rows))
        changed = [(row, index) for index, row in enumerate(rows) if parts[index] != kept[index]]
        self._exchange(handle, changed, parts)
        self._tell(handle, locator, tags)

    def correct(self, project: str, completion_id: str, body: bytes, *, tags: frozenset[bytes]) -> None:
        """The same for any change, and with marks: no backup brings back what stood before (GDPR Art. 16).

        One chunk changes at once. Of several the caller keeps `body` until it was told that all is written: what was
        cut off in between does not open, and is written again with the same body.
        """
        locator, handle, rows = self._standing(project, completion_id, whole=False)
        try:
            parts = _parts(body, len(rows))
        except ValueError:
            parts = _parts(body)  # it has grown out of its chunks
        for row in rows:
            self._marks.gone([(row["pk"], row["sk"])], row.get("rev", 1))
        self._exchange(handle, [(row, index) for index, row in enumerate(rows)], parts)
        more = [
            self._row(handle, completion_id, index, parts, rows[0]["ttl"]) for index in range(len(rows), len(parts))
        ]
        if more:
            self._table.put_all(more)
        self._tell(handle, locator, tags, len(parts))

    def _standing(
        self, project: str, completion_id: str, *, whole: bool = True
    ) -> tuple[Item, SubjectHandle, Sequence[Item]]:
        locator = self._locator(project, completion_id)
        # A reader, since a writer would open a new generation where this one was erased.
        handle = self._vault.reader(project, locator["subject"], locator["generation"])
        if not self._vault.still_open(handle):
            raise SubjectFrozen
        return locator, handle, self._rows(locator, whole=whole)

    def _exchange(self, handle: SubjectHandle, rows: Sequence[tuple[Item, int]], parts: Sequence[bytes]) -> None:
        gone: bool | None = None
        try:
            for row, index in rows:
                revision = row.get("rev", 1) + 1
                place = chunk_attribute(index, len(parts))
                sealed = handle.seal(TABLE, row["pk"], row["sk"], place, revision, parts[index])
                expect = {"kind": "completion", "rev": row.get("rev")}
                self._table.update(row["pk"], row["sk"], Change(put={"body": sealed, "rev": revision}, expect=expect))
        except Collision as collision:
            gone = collision.item is None
        if gone is not None:
            raise NotFound if gone else Conflict

    def _tell(self, handle: SubjectHandle, locator: Item, tags: frozenset[bytes], chunks: int | None = None) -> None:
        """What differs in the locator; and the generation check after every write."""
        put = {**({"tags": tags} if tags else {}), **({"chunks": chunks} if chunks else {})}
        expected = {"kind": "locator", "generation": handle.generation}
        try:
            change = Change(put=put, drop=() if tags else ["tags"], expect=expected)
            self._table.update(locator["pk"], locator["sk"], change)
        except Collision:
            gone = True
        else:
            gone = False
        if gone:
            raise NotFound
        if not self._vault.still_open(handle):
            raise SubjectFrozen

    def delete(self, project: str, completion_id: str) -> None:
        """Delete it, and the statements beside it: NotFound where it is not this project's, ProcessingRestricted."""
        locator = self._locator(project, completion_id)
        self._vault.permit(project, locator["subject"])
        pk = subject_pk(project, locator["subject"], locator["generation"])
        beside = self._table.query(pk, record_sk("statement", "", completion_id), expired=True)
        keys = [*_keys(locator), *((pk, row["sk"]) for row in beside)]
        self._marks.gone(keys)
        self._table.delete_all(keys)

    def list(
        self,
        project: str,
        *,
        after: str | None = None,
        limit: int = 20,
        descending: bool = False,
        sieve: Filter | None = None,
        wanted: Callable[[bytes], bool] = lambda body: True,
    ) -> tuple[list[Stored], bool]:
        """A page in order of creation, and whether there is more. `sieve` filters on the locators, before anything is
        read or decrypted, `wanted` on the decrypted body."""
        found: list[Stored] = []
        for stored in self._all(project, after, descending, sieve or Filter()):
            if wanted(stored.body):
                if len(found) == limit:
                    return found, True
                found.append(stored)
        return found, False

    def _all(self, project: str, after: str | None, descending: bool, sieve: Filter) -> Iterator[Stored]:
        size = _LOCATORS_A_PAGE if sieve else _PAGE
        while True:
            page = self._table.query(locator_pk(project), "chatcmpl-", after=after, limit=size, descending=descending)
            for locator in filter(sieve.passes, page):
                try:
                    yield self._open(locator)
                except (SubjectErased, NotFound, ProcessingRestricted):
                    continue  # an erasure is on its way through these rows, a write was cut off, or nobody may use it
            if len(page) < size:
                return
            after = page[-1]["sk"]

    def _locator(self, project: str, completion_id: str) -> Item:
        locator = self._table.get(locator_pk(project), completion_id)
        if locator is None:
            raise NotFound
        return locator

    def _open(self, locator: Item) -> Stored:
        project, count = locator["pk"].partition("#")[2], locator["chunks"]
        handle = self._vault.reader(project, locator["subject"], locator["generation"])
        rows = self._rows(locator)
        parts = [self._part(handle, row, index, count) for index, row in enumerate(rows)]
        return Stored(locator["sk"], b"".join(parts))

    def _rows(self, locator: Item, *, whole: bool = True) -> Sequence[Item]:
        project = locator["pk"].partition("#")[2]
        pk = subject_pk(project, locator["subject"], locator["generation"])
        rows = self._table.query(pk, f"{COMPLETION}{locator['sk']}#")
        if not rows or (whole and len(rows) != locator["chunks"]):
            raise NotFound
        return rows

    @staticmethod
    def _row(handle: SubjectHandle, completion_id: str, index: int, parts: Sequence[bytes], ttl: int) -> Item:
        pk = subject_pk(handle.project, handle.subject, handle.generation)
        sk = completion_sk(completion_id, index)
        sealed = handle.seal(TABLE, pk, sk, chunk_attribute(index, len(parts)), 1, parts[index])
        return {"pk": pk, "sk": sk, "kind": "completion", "body": sealed, "ttl": ttl}

    @staticmethod
    def _part(handle: SubjectHandle, row: Item, index: int, count: int) -> bytes:
        return handle.open(TABLE, row["pk"], row["sk"], chunk_attribute(index, count), row.get("rev", 1), row["body"])

    def _remove(self, locator: Item) -> None:
        self._table.delete_all(_keys(locator))


def _keys(locator: Item) -> list[Key]:
    project = locator["pk"].partition("#")[2]
    pk = subject_pk(project, locator["subject"], locator["generation"])
    chunks: list[Key] = [(pk, completion_sk(locator["sk"], index)) for index in range(locator["chunks"])]
    return [*chunks, (locator["pk"], locator["sk"])]


def _parts(body: bytes, count: int | None = None) -> list[bytes]:
    """The body in chunks; in `count` of them where that is given. ValueError where it does not fit into so many."""
    if count is None:
        count = max(1, -(-len(body) // CHUNK_BYTES))
    starts = range(0, count * CHUNK_BYTES, CHUNK_BYTES)
    parts = [body[start : start + CHUNK_BYTES] for start in starts[:-1]] + [body[starts[-1] :]]
    if len(parts[-1]) > CHUNK_BYTES + _ROOM:
        raise ValueError("the body does not fit")
    return parts
