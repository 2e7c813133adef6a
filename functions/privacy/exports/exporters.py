"""One exporter per kind of record that the catalogue says is exported. A kind that none covers stops every export, and
the build (tests/unit/privacy/test_export.py): nothing can be forgotten (GDPR Art. 15).

Each writes files of fixed names into the archive and gives back how many records it wrote. Sealed kinds are read under
the keys of the generations that are alive; a page at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from chatapi.catalogue import catalogue
from chatapi.store.cases import Case
from chatapi.store.holds import Holds
from chatapi.store.items import Item, Table, pages
from chatapi.store.keys import (
    DAY,
    HOLD,
    UNDATED,
    chunk_attribute,
    consent_pk,
    date_of,
    entrant_pk,
    kind_of,
    recipient_of,
    subject_pk,
)
from chatapi.store.reading import Reading
from chatapi.store.sealed import Record
from chatapi.vault import State, SubjectErased, SubjectHandle
from privacy.consents import record as consent_record
from privacy.exports.archive import Archive, cell
from privacy.exports.ports import Ports
from privacy.requests import show
from privacy.tasks.ports import NotCovered

_CASES_A_PAGE = 100

STATEMENT = "statement"
STATED = ("completion", "conversation", "response")
"""Kinds that statements stand beside."""

Values = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Scope:
    """Of whom: the case's subjects, each with a handle of its generation that is alive, if there is one."""

    case: Case
    handles: Mapping[str, SubjectHandle | None]


def scope_of(ports: Ports, case: Case) -> Scope:
    """The handles to read with."""
    handles: dict[str, SubjectHandle | None] = {}
    for subject in case.subjects:
        item = ports.wraps.get(case.project, subject)
        handles[subject] = None
        if item is not None and item.state is not State.ERASED:
            handles[subject] = ports.vault.reader(case.project, subject, item.generation)
    return Scope(case, handles)


def rows(table: Table, pk: str, prefix: str = "") -> Iterator[Item]:
    """A partition row by row, a page at a time; what has expired does not exist."""
    return chain.from_iterable(pages(table, pk, prefix))


def _completions(ports: Ports, scope: Scope) -> Values:
    for record, said in _every(ports, scope, "completion"):
        yield {**json.loads(record.body), **said, "expires_at": record.expires}


def _every(
    ports: Ports, scope: Scope, kind: str, *, nested: bool = False
) -> Iterator[tuple[Record, dict[str, list[dict[str, Any]]]]]:
    """Every record of a kind, with the statements beside it where there are any."""
    records = Reading(ports.records, ports.vault)
    for handle in filter(None, scope.handles.values()):
        beside = _beside(records, handle) if kind in STATED else {}
        for record in records.every(handle, kind, nested=nested):
            yield record, {"statements": beside[record.id]} if record.id in beside else {}


def _joined(handle: SubjectHandle, pk: str, chunks: list[Item]) -> bytes:
    return b"".join(
        handle.open("records", pk, row["sk"], chunk_attribute(index, len(chunks)), 1, row["body"])
        for index, row in enumerate(chunks)
    )


def _beside(records: Reading, handle: SubjectHandle) -> dict[str, list[dict[str, Any]]]:
    """What the person has put beside records, by their ids (GDPR Art. 16)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records.every(handle, STATEMENT, nested=True):
        found.setdefault(record.parent, []).append(_value(record.body))
    return found


def _held(ports: Ports, scope: Scope) -> Values:
    for subject in scope.case.subjects:
        pk = subject_pk(scope.case.project, subject, HOLD)
        ends = {hold["sk"]: hold["expires"] for hold in Holds(ports.requests).all(scope.case.project, subject)}
        found = rows(ports.records, pk)
        for name, group in groupby(found, key=lambda row: str(row["sk"].rpartition("#")[0])):
            case, chunks = name.partition("#")[0], list(group)
            try:
                handle = ports.vault.reader(scope.case.project, "hold_" + case, 1)
            except SubjectErased:
                continue  # the hold has ended while we read
            body, kind = _joined(handle, pk, chunks), kind_of(chunks[0]["origin"])
            yield {
                **(json.loads(body) if kind == "completion" else {"kind": kind, "data": _value(body)}),
                "kept_under": chunks[0]["hold"],
                "expires_at": ends.get(chunks[0]["hold"]),
            }


def _sealed(kind: str, *, below: bool = False) -> Callable[[Ports, Scope], Values]:
    """A kind of chatapi.store.records, of its own or below other records: also below somebody else's, as an item in a
    conversation of several people is."""

    def read(ports: Ports, scope: Scope) -> Values:
        for record, said in _every(ports, scope, kind, nested=below):
            place = {"parent": record.parent} if below else {}
            yield {"id": record.id, **place, "data": _value(record.body), **said, "expires_at": record.expires}

    return read


def _value(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _days(ports: Ports, scope: Scope) -> Iterator[Item]:
    for subject in scope.case.subjects:
        yield from rows(ports.records, subject_pk(scope.case.project, subject, UNDATED), DAY)


def _cases(ports: Ports, scope: Scope) -> Values:
    after: str | None = None
    while True:
        page, more = ports.cases.list(scope.case.project, after, _CASES_A_PAGE)
        yield from (show(case) for case in page if case.subject in scope.case.subjects)
        if not more:
            return
        after = page[-1].id


def _holds(ports: Ports, scope: Scope) -> Values:
    for subject in scope.case.subjects:
        for hold in Holds(ports.requests).all(scope.case.project, subject):
            named = {name: hold[name] for name in ("kinds", "basis", "owner", "review", "expires")}
            yield {"id": hold["sk"], **named, "in_force": hold["expires"] > ports.now()}


def _consents(ports: Ports, scope: Scope) -> Values:
    for subject in scope.case.subjects:
        yield from map(consent_record, rows(ports.requests, consent_pk(scope.case.project, subject)))


def _entrants(ports: Ports, scope: Scope) -> Values:
    for subject in scope.case.subjects:
        for row in rows(ports.requests, entrant_pk(scope.case.project, subject)):
            yield {"data_set": row["sk"], **{name: row[name] for name in ("at", "samples", "sha256")}}


def _lines(name: str, what: str, read: Callable[[Ports, Scope], Values]) -> Callable[[Ports, Scope, Archive], int]:
    return lambda ports, scope, archive: archive.lines(name, what, read(ports, scope))


DAY_COLUMNS = ("date", "recipient", "categories", "purpose", "basis", "requests", "tokens_in", "tokens_out")


def _day_table(ports: Ports, scope: Scope, archive: Archive) -> int:
    what = "To whom your data was disclosed, day by day, and how much was used (GDPR Art. 15(1)(c))."
    with archive.file("disclosures.csv", what) as out:
        out.write(_csv(DAY_COLUMNS))
        for row in _days(ports, scope):
            named = {**row, "date": date_of(row["sk"]), "recipient": recipient_of(row["sk"])}
            named["categories"] = " ".join(row["categories"])
            out.write(_csv([named[column] for column in DAY_COLUMNS]))
            out.records += 1
    return out.records


def _csv(values: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cell(value) for value in values)
    return line.getvalue().encode()


Exporter = Callable[[Ports, Scope, Archive], int]
_EXPORTERS: dict[str, Exporter] = {
    "completion": _lines("chats.jsonl", "Stored chats: the messages that were sent and the completion.", _completions),
    "conversation": _lines("conversations.jsonl", "Conversations.", _sealed("conversation")),
    "item": _lines("conversation-items.jsonl", "What was said in them.", _sealed("item", below=True)),
    "response": _lines("responses.jsonl", "Stored responses.", _sealed("response")),
    "statement": _lines(
        "statements.jsonl",
        "What you have put beside records; it stands beside each of them too.",
        _sealed(STATEMENT, below=True),
    ),
    "change": _lines("changes.jsonl", "What you have asked to be changed, while it is under way.", _sealed("change")),
    "amendment": _lines(
        "corrections.jsonl",
        "Which texts were corrected, and what opens the receipts' commitments.",
        _sealed("amendment"),
    ),
    "sample": _lines("samples.jsonl", "Redacted chats that you allowed to be used for improvement.", _sealed("sample")),
    "entrant": _lines("data-sets.jsonl", "Data sets that samples of yours entered.", _entrants),
    "contact": _lines("contacts.jsonl", "Where you can be reached.", _sealed("contact")),
    "day": _day_table,
    "held": _lines("held.jsonl", "What is kept of an earlier erasure under a legal hold.", _held),
    "case": _lines("requests.jsonl", "Your own data-rights requests.", _cases),
    "consent": _lines("consents.jsonl", "What you allowed and refused, purpose by purpose.", _consents),
    "hold": _lines("holds.jsonl", "Legal holds on your data.", _holds),
}


def exporters() -> dict[str, Exporter]:
    """The exporter of every kind that is exported. NotCovered where one is missing."""
    wanted = [kind.name for kind in catalogue().kinds.values() if kind.export]
    if any(name not in _EXPORTERS for name in wanted):
        raise NotCovered
    return {name: _EXPORTERS[name] for name in wanted}


def recipients(ports: Ports, scope: Scope) -> dict[str, dict[str, Any]]:
    """Who received data, from the day rows: first and last day, requests, purpose, categories, basis."""
    found: dict[str, dict[str, Any]] = {}
    for row in _days(ports, scope):
        name, date = recipient_of(row["sk"]), date_of(row["sk"])
        entry = found.setdefault(
            name,
            {"first": date, "last": date, "requests": 0}
            | {key: row[key] for key in ("purpose", "basis", "categories")},
        )
        entry["first"], entry["last"] = min(entry["first"], date), max(entry["last"], date)
        entry["requests"] += row["requests"]
    return found
