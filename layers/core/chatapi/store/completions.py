"""Stored completions: the one way to the `completion` and `locator` rows of the Records table.

    save:  read the Vault ─▶ seal ─▶ chunks ─▶ locator ─▶ read the Vault again ─▶ closed meanwhile? take it back
                                     (the locator comes last: without it nothing is visible)
    load:  locator ─▶ read the Vault (410 where the subject was erased) ─▶ chunks ─▶ open

A body may be larger than a DynamoDB item (400 KB), so it lies in chunks; the index and the number of chunks are part
of the encryption context, so a missing, doubled or exchanged chunk does not open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import NotFound
from chatapi.store.items import Change, Collision, Item, Key, Table
from chatapi.store.keys import COMPLETION, chunk_attribute, completion_sk, locator_pk, subject_pk
from chatapi.store.marks import Marks
from chatapi.vault import SubjectErased, SubjectFrozen, SubjectHandle, Vault

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
        pk = subject_pk(handle.project, handle.subject, handle.generation)
        parts = _parts(body)
        rows: list[Item] = []
        for index, part in enumerate(parts):
            sk = completion_sk(completion_id, index)
            sealed = handle.seal(TABLE, pk, sk, chunk_attribute(index, len(parts)), 1, part)
            rows.append({"pk": pk, "sk": sk, "kind": "completion", "body": sealed, "ttl": ttl})
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
        each only where it still stands, so that nothing that was deleted meanwhile comes back. Id, subject and expiry
        stay. NotFound, SubjectErased; SubjectFrozen during an erasure.
        """
        locator = self._locator(project, completion_id)
        count = locator["chunks"]
        # A reader, since a writer would open a new generation where this one was erased.
        handle = self._vault.reader(project, locator["subject"], locator["generation"])
        if not self._vault.still_open(handle):
            raise SubjectFrozen
        pk = subject_pk(project, locator["subject"], locator["generation"])
        old, parts = self._open(locator).body, _parts(body, count)
        kept = _parts(old, count)
        try:
            for index, part in enumerate(parts):
                if part != kept[index]:
                    sk = completion_sk(completion_id, index)
                    sealed = handle.seal(TABLE, pk, sk, chunk_attribute(index, count), 1, part)
                    self._table.update(pk, sk, Change(put={"body": sealed}, expect={"kind": "completion"}))
            told = Change(put={"tags": tags}) if tags else Change(drop=["tags"])
            expected = {"kind": "locator", "generation": handle.generation}
            self._table.update(locator["pk"], completion_id, Change(told.put, drop=told.drop, expect=expected))
        except Collision:
            gone = True
        else:
            gone = False
        if gone:
            raise NotFound
        if not self._vault.still_open(handle):
            raise SubjectFrozen

    def delete(self, project: str, completion_id: str) -> None:
        """Delete it: NotFound where it is not this project's."""
        locator = self._locator(project, completion_id)
        self._marks.gone(_keys(locator))
        self._remove(locator)

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
                except (SubjectErased, NotFound):
                    continue  # an erasure is on its way through these rows, or a write was cut off
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
        pk = subject_pk(project, locator["subject"], locator["generation"])
        rows = self._table.query(pk, f"{COMPLETION}{locator['sk']}#")
        if len(rows) != count:
            raise NotFound
        parts = [
            handle.open(TABLE, pk, row["sk"], chunk_attribute(index, count), 1, row["body"])
            for index, row in enumerate(rows)
        ]
        return Stored(locator["sk"], b"".join(parts))

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
