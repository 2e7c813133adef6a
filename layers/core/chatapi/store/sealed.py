"""A record as rows of the Records table: sealed, in chunks, with a locator. The layout: `chatapi.store.records`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chatapi.ids import random62
from chatapi.store.items import Item
from chatapi.store.keys import chunk_attribute, locator_pk, record_sk, subject_pk

if TYPE_CHECKING:
    from chatapi.vault import SubjectHandle

CHUNK_BYTES = 350 * 1024
TABLE = "records"


class Record(NamedTuple):
    """A record as it was read. `revision` counts its writes from 1; `expires` in POSIX seconds; `parent` may be ""."""

    kind: str
    id: str
    parent: str
    revision: int
    body: bytes
    expires: int


class Owner(Protocol):
    """Whose a record is: one generation of a data subject. Every SubjectHandle is one."""

    @property
    def project(self) -> str:
        """The project's id."""
        ...

    @property
    def subject(self) -> str:
        """The subject's pseudonym."""
        ...

    @property
    def generation(self) -> int:
        """The generation's number, from 1."""
        ...


def partition(owner: Owner) -> str:
    """Where the rows of the generation lie."""
    return subject_pk(owner.project, owner.subject, owner.generation)


def chunks_of(head: Item) -> str:
    """What the sort keys of a head's further chunks begin with: the write's own name keeps racing writers apart."""
    return f"{head['sk']}#{head['write']}#"


def attribute(head: Item, index: int) -> str:
    """What chunk `index` of a head is bound to: its place, how many there are, and the write they came with."""
    return chunk_attribute(index, head["chunks"]) + (":" + head["write"] if head["chunks"] > 1 else "")


def rows_of(handle: SubjectHandle, record: Record) -> list[Item]:
    """The head and its further chunks, sealed; chunk 0 is in the head."""
    pk, sk = partition(handle), record_sk(record.kind, record.id, record.parent)
    parts = [record.body[start : start + CHUNK_BYTES] for start in range(0, len(record.body), CHUNK_BYTES)] or [b""]
    base: Item = {"pk": pk, "kind": record.kind, "rev": record.revision, "ttl": record.expires}
    head: Item = {**base, "sk": sk, "chunks": len(parts)}
    if len(parts) > 1:
        head["write"] = random62(12)
    rows = [head, *({**base, "sk": f"{chunks_of(head)}{index:04d}"} for index in range(1, len(parts)))]
    for index, (row, part) in enumerate(zip(rows, parts, strict=True)):
        row["body"] = handle.seal(TABLE, pk, row["sk"], attribute(head, index), record.revision, part)
    return rows


def opened(handle: SubjectHandle, record_id: str, parent: str, rows: Sequence[Item]) -> Record | None:
    """The record of a head and its chunks in order; None where one is missing: a write or a delete that was cut off."""
    head = rows[0]
    if len(rows) != head["chunks"]:
        return None
    body = b"".join(
        handle.open(TABLE, row["pk"], row["sk"], attribute(head, index), head["rev"], row["body"])
        for index, row in enumerate(rows)
    )
    return Record(head["kind"], record_id, parent, head["rev"], body, head["ttl"])


def locator_of(handle: SubjectHandle, record: Record, told: Mapping[str, Any]) -> Item:
    """The row that leads from a record's id to its data subject. `told`: what it says besides, in the clear."""
    where = {"pk": locator_pk(handle.project), "sk": record.id, "kind": "locator"}
    return {**where, "subject": handle.subject, "generation": handle.generation, "ttl": record.expires, **told}
