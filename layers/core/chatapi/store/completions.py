"""Stored completions: records of the kind `completion` (chatapi.store.records), listed by project without opening all.

A list goes over the project's locators, which say of each completion its model and digests of its metadata: what a
filter rules out is neither read nor decrypted. What a locator says may be too much, never too little: an update adds
the new digests before it writes, and takes the old ones away afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from chatapi.clock import Clock
from chatapi.errors import NotFound, ProcessingRestricted
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import locator_pk
from chatapi.store.marks import Marks
from chatapi.store.records import Records, Stale
from chatapi.store.sealed import Record
from chatapi.vault import SubjectErased, SubjectFrozen

if TYPE_CHECKING:
    from chatapi.vault import SubjectHandle, Vault

KIND, PREFIX, BESIDE = "completion", "chatcmpl-", ("statement",)
_PAGE = 50
_LOCATORS_A_PAGE = 1000
_AT_ONCE = 10  # bodies may have megabytes
PAGE_BYTES = 32 * 1024 * 1024
"""Of the bodies of one page: a hundred of the largest take most of a function's memory, and more time than it has."""


class Stored(NamedTuple):
    """A stored completion as it was read: whose it is, and its record."""

    handle: SubjectHandle
    record: Record

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    @property
    def body(self) -> bytes:
        """Its decrypted body: the bytes that were saved."""
        return self.record.body


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


class _Owner(NamedTuple):
    """Whose a completion is, without a key."""

    project: str
    subject: str
    generation: int


class Completions:
    """The repository. `table`: catalogued Records; `marks` keeps what was deleted out of restored backups."""

    def __init__(self, table: Table, vault: Vault, marks: Marks, clock: Clock) -> None:
        self._table = table
        self._vault = vault
        self._records = Records(table, vault, marks, clock)

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
        (record,) = self._records.put(
            handle,
            KIND,
            [(completion_id, body)],
            created=created,
            ceiling_days=ceiling_days,
            ceiling_seconds=ceiling_seconds,
            told={**({"model": model} if model is not None else {}), **({"tags": tags} if tags else {})},
        )
        return record.expires

    def load(self, project: str, completion_id: str) -> Stored:
        """The completion, if it is this project's: NotFound otherwise, SubjectErased where its key is gone."""
        return Stored(*self._records.find(project, KIND, completion_id))

    def replace(self, stored: Stored, body: bytes, *, tags: frozenset[bytes]) -> None:
        """Put `body` in place of what was read, at once, and with marks, so that no backup brings back what stood. Id,
        subject and expiry stay. Stale where it was changed or deleted since; SubjectFrozen during an erasure, which
        leaves what stood; ProcessingRestricted."""
        if not self._vault.still_open(stored.handle):
            self._vault.permit(stored.handle.project, stored.handle.subject)
            raise SubjectFrozen
        locator = self._records.locator(stored.handle.project, stored.id)
        before = frozenset(locator.get("tags", ()))
        try:
            locator = self._tell(locator, before | tags)
        except Collision:
            raise Stale from None
        self._records.update(stored.handle, stored.record, body)
        with suppress(Collision):  # changed or deleted by somebody else since: what it says is theirs to say
            self._tell(locator, tags)

    def delete(self, project: str, completion_id: str) -> None:
        """Delete it, and what stands beside it: NotFound where it is not this project's, ProcessingRestricted. No key
        is needed for that."""
        if not completion_id.startswith(PREFIX):
            raise NotFound
        locator = self._records.locator(project, completion_id)
        self._vault.permit(project, locator["subject"])
        owner = _Owner(project, locator["subject"], locator["generation"])
        self._records.delete(owner, KIND, completion_id, children=BESIDE)

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
        """A page in order of creation, and whether there is more; fewer than `limit` where they are large. `sieve`
        filters on the locators, before anything is read or decrypted, `wanted` on the decrypted body."""
        found: list[Stored] = []
        size = 0
        for stored in self._all(project, after, descending, sieve or Filter()):
            if wanted(stored.body):
                size += len(stored.body)
                if len(found) == limit or (found and size > PAGE_BYTES):
                    return found, True
                found.append(stored)
        return found, False

    def _all(self, project: str, after: str | None, descending: bool, sieve: Filter) -> Iterator[Stored]:
        size = _LOCATORS_A_PAGE if sieve else _PAGE
        while True:
            page = self._table.query(locator_pk(project), PREFIX, after=after, limit=size, descending=descending)
            passed = list(filter(sieve.passes, page))
            for start in range(0, len(passed), _AT_ONCE):
                yield from self._opened(project, passed[start : start + _AT_ONCE])
            if len(page) < size:
                return
            after = page[-1]["sk"]

    def _opened(self, project: str, locators: Sequence[Item]) -> Iterator[Stored]:
        """What the locators lead to, in their order. Left out is what an erasure is on its way through, what nobody may
        use, and what is torn: a write or a delete that was cut off."""
        found: dict[str, Stored] = {}
        for (subject, generation), theirs in groupby(sorted(locators, key=_whose), key=_whose):
            with suppress(SubjectErased, ProcessingRestricted):
                handle = self._vault.reader(project, subject, generation)
                for record in self._records.get_many(handle, KIND, [locator["sk"] for locator in theirs]):
                    found[record.id] = Stored(handle, record)
        return (found[locator["sk"]] for locator in locators if locator["sk"] in found)

    def _tell(self, locator: Item, tags: frozenset[bytes]) -> Item:
        """Have a locator say `tags`, if nobody else changed it; the locator as it is then. Collision otherwise."""
        if tags == frozenset(locator.get("tags", ())):
            return locator
        revision = locator.get("rev", 0)
        expect = {"kind": "locator", "generation": locator["generation"], "rev": revision or None}
        put = {"rev": revision + 1, **({"tags": tags} if tags else {})}
        change = Change(put, drop=() if tags else ["tags"], expect=expect)
        return self._table.update(locator["pk"], locator["sk"], change)


def _whose(locator: Item) -> tuple[str, int]:
    return locator["subject"], locator["generation"]
