"""The ledger of data sets: what entered which, of whom, and that it was so at the time (commitment USE-3).

    y#datasets / {name}             when, how many samples of how many people, who was left out, and the payload
    y#{project}#{subject} / {name}  the same for one person: how many, and the digest of what was theirs

The payload is committed to in the ledger under a random opening, before the data set itself appears: none is without
its entry. It holds digests, counts and pseudonyms, no content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from chatapi.catalogue import expiry, read_policy
from chatapi.certificates import canonical
from chatapi.ledger import Ledger, commit, proof, proof_holds
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import DATASETS, entrant_pk
from chatapi.vault.lp import lp

EVENT = "dataset.built"
MOST_PEOPLE = 4000
"""Of one data set: its row names them all, and an item has at most 400 KB."""
AT_WORK_SECONDS = 3600
"""How long a run may take from its row to its entry in the ledger: seconds, in truth."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class DataSetError(ValueError):
    """What was asked for is not possible. The text says why; it is fixed."""


class Entrant(NamedTuple):
    """A person in a data set: how many samples, and the SHA-256 of their lines together, in hexadecimal."""

    project: str
    subject: str
    samples: int
    sha256: str

    @property
    def person(self) -> str:
        """The pseudonym, with the project's id before it."""
        return f"{self.project}#{self.subject}"


class DataSets:
    """The repository. `table`: catalogued Requests."""

    def __init__(self, table: Table, ledger: Ledger) -> None:
        self._table = table
        self._ledger = ledger

    def free(self, name: str, now: float) -> None:
        """DataSetError where the name is none, or is taken. A run that was cut off before its entry in the ledger has
        taken it for an hour: until then it may be at work."""
        if not _NAME.fullmatch(name):
            raise DataSetError("a data set's name has 1 to 64 small letters, digits and -")
        row = self._table.get(DATASETS, name)
        if row is not None and not self._cut_off(row, now):
            raise DataSetError("there is a data set of this name; what was built stays what it was")

    def record(self, name: str, sha256: str, entrants: Sequence[Entrant], left_out: int, now: float) -> dict[str, Any]:
        """Write down a data set that is about to appear: its rows, then its entry in the ledger. What is shown of it.
        DataSetError where the name was taken meanwhile, or there are too many people."""
        if len(entrants) > MOST_PEOPLE:
            raise DataSetError(f"a data set has at most {MOST_PEOPLE} people: build it project by project")
        of_people = hashlib.sha256()
        for entrant in sorted(entrants):
            of_people.update(lp(*map(str, entrant)))
        samples, at = sum(entrant.samples for entrant in entrants), int(now)
        payload = canonical({
            "version": 1,
            "object": "dataset",
            "name": name,
            "sha256": sha256,
            "samples": samples,
            "people": len(entrants),
            "people_sha256": of_people.hexdigest(),
            "left_out": left_out,
            "policy_version": read_policy("versions")["current"],
            "built_at": at,
        })  # fmt: skip
        people = [entrant.person for entrant in sorted(entrants)]
        row = {"pk": DATASETS, "sk": name, "kind": "dataset", "at": at, "ttl": expiry("dataset", now)}
        row |= {"samples": samples, "people": people, "left_out": left_out, "payload": payload}
        self._take({**row, "opening": os.urandom(32)}, now)
        self._table.put_all([_row(entrant, name, at, now) for entrant in entrants])
        standing = self._get(name)
        commitment = commit(standing["opening"], hashlib.sha256(payload).digest())
        self._ledger.append(EVENT, at, commitment, intent=None, intend=lambda old, new: self._intend(name, old, new))
        return self.show(name)

    def _take(self, row: Item, now: float) -> None:
        """Take the name, from a run that was cut off too: no data set appeared, so nobody entered one."""
        taken = DataSetError("there is a data set of this name; what was built stays what it was")
        try:
            self._table.put(row, absent=True)
            return
        except Collision:
            standing = self._table.get(DATASETS, row["sk"])
        if standing is None or not self._cut_off(standing, now):
            raise taken
        put = {name: value for name, value in row.items() if name not in ("pk", "sk")}
        expect = {"kind": "dataset", "opening": standing["opening"], "intent": standing.get("intent")}
        try:
            self._table.update(DATASETS, row["sk"], Change(put=put, drop=("intent",), expect=expect))
        except Collision:
            raise taken from None
        people = [one.partition("#") for one in standing["people"]]
        self._table.delete_all([(entrant_pk(project, subject), row["sk"]) for project, _, subject in people])

    def _cut_off(self, row: Item, now: float) -> bool:
        """Whether the run that took a name ended before its entry."""
        return bool(row["at"] + AT_WORK_SECONDS <= now and self._entry(row) is None)

    def _entry(self, row: Item) -> dict[str, Any] | None:
        """The proof of a data set's entry in the ledger; None where there is none, or it is another's."""
        entry = self._ledger.at(row["intent"]) if "intent" in row else None
        shown = proof(entry, row["opening"]) if entry else None
        holds = shown is not None and proof_holds(shown, hashlib.sha256(row["payload"]).digest())
        return shown if holds else None

    def all(self) -> list[dict[str, Any]]:
        """Every data set, by name."""
        return [self._shown(row) for row in self._table.query(DATASETS)]

    def show(self, name: str) -> dict[str, Any]:
        """One, with the proof of its entry in the ledger: None where the run that built it was cut off before that, and
        so before there was a data set. DataSetError where there is none of this name."""
        row = self._get(name)
        return {**self._shown(row), "ledger": self._entry(row)}

    def people(self, name: str) -> list[tuple[str, str]]:
        """(project, subject) of everybody in it."""
        return [(project, subject) for project, _, subject in (one.partition("#") for one in self._get(name)["people"])]

    def _get(self, name: str) -> Item:
        row = self._table.get(DATASETS, name)
        if row is None:
            raise DataSetError("there is no such data set")
        return row

    def _intend(self, name: str, old: int | None, new: int) -> int:
        change = Change(put={"intent": new}, expect={"kind": "dataset", "intent": old})
        try:
            return int(self._table.update(DATASETS, name, change)["intent"])
        except Collision:
            return int(self._get(name)["intent"])

    @staticmethod
    def _shown(row: Item) -> dict[str, Any]:
        return dict(json.loads(row["payload"]))


def _row(entrant: Entrant, name: str, at: int, now: float) -> Item:
    row = {"pk": entrant_pk(entrant.project, entrant.subject), "sk": name, "kind": "entrant", "at": at}
    return {**row, "samples": entrant.samples, "sha256": entrant.sha256, "ttl": expiry("entrant", now)}
