"""One eraser per store of the catalogue. A store, or a kind to be deleted, that none covers stops every erasure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from chatapi.catalogue import Kind, catalogue
from chatapi.store.cases import Case
from chatapi.store.days import forget
from chatapi.store.holds import sealed_anew
from chatapi.store.items import Item, Key, pages
from chatapi.store.keys import ALIAS, UNDATED, alias_sk, located_id, locator_pk, subject_pk
from chatapi.vault import InvalidCiphertext, SubjectErased, TenantKeyUnavailable
from privacy.imports import begun_at
from privacy.tasks.ports import NotCovered, OutOfTime, Ports

_NAMES = ("pk", "sk", "kind")
"""What is read of sealed rows to delete them: not their bodies."""


class Eraser(Protocol):
    """Finds, and where told deletes, what a store holds of a case's data subjects."""

    def covers(self, kind: Kind) -> bool:
        """Whether it ends this kind as the catalogue says."""
        ...

    def sweep(
        self, ports: Ports, case: Case, *, delete: bool = False, scan: bool = False, until: float = math.inf
    ) -> Counter[str]:
        """What is there, by kind, and is deleted with `delete`. `scan` looks for what should be gone already: harder,
        and leaving alone what may belong to the subject's later return. OutOfTime after a page that ends past `until`
        of the monotonic clock: what it deleted is deleted, and a further sweep goes on."""
        ...


class Nothing:
    """A store without data of a data subject, or one that the law has us keep."""

    def covers(self, kind: Kind) -> bool:
        """See Eraser."""
        return kind.erase in ("keep", "none")

    def sweep(
        self, ports: Ports, case: Case, *, delete: bool = False, scan: bool = False, until: float = math.inf
    ) -> Counter[str]:
        """See Eraser."""
        return Counter()


class Keys:
    """The Vault: the keys of the frozen generations, counted by trying them. Destroying is a task of its own."""

    def covers(self, kind: Kind) -> bool:
        """See Eraser."""
        return kind.erase == "shred"

    def sweep(
        self, ports: Ports, case: Case, *, delete: bool = False, scan: bool = False, until: float = math.inf
    ) -> Counter[str]:
        """See Eraser."""
        return +Counter(subject_key=sum(self._opens(ports, case, subject) for subject in case.get("canary")))

    @staticmethod
    def _opens(ports: Ports, case: Case, subject: str) -> bool:
        try:
            ports.vault.reader(case.project, subject, case.get("generations")[subject])
        except SubjectErased:
            return False
        except (InvalidCiphertext, TenantKeyUnavailable):  # it opens nothing now, and goes all the same
            return True
        return True


class Rows:
    """The Records table: the partitions of the closed generations, the rows without one, and the locators."""

    _PARTITIONS = frozenset({"s#{project}#{subject}#{generation}", "s#{project}#{subject}#-"})

    def covers(self, kind: Kind) -> bool:
        """See Eraser."""
        return kind.erase in ("keep", "none") or kind.name == "locator" or kind.key.split(" / ")[0] in self._PARTITIONS

    def sweep(
        self, ports: Ports, case: Case, *, delete: bool = False, scan: bool = False, until: float = math.inf
    ) -> Counter[str]:
        """See Eraser."""
        found: Counter[str] = Counter()
        located, last = 0, ("", "")
        locatable = {name for name, kind in catalogue().kinds.items() if kind.located}
        for pk, page in self._pages(ports, case):
            ids = {located_id(row["sk"]) for row in page if row["kind"] in locatable}
            for row in page:  # in order, so that the chunks of one id lie side by side: no set that grows with them
                if row["kind"] in locatable and (pk, located_id(row["sk"])) != last:
                    located, last = located + 1, (pk, located_id(row["sk"]))
            found.update(row["kind"] for row in page)
            if delete:
                # The locators first: their ids come from the rows, so rows that are left find them again.
                ports.records.delete_all([(locator_pk(case.project), one) for one in ids])
                # An alias is written both ways: the other person's row names this one.
                ports.records.delete_all(_reverse(case, pk, page))
                ports.records.delete_all([(pk, row["sk"]) for row in page if row["kind"] != "day"])
                for row in page:
                    if row["kind"] == "day":
                        forget(ports.records, row)
                if ports.clock.monotonic() > until:
                    raise OutOfTime
        if not scan:
            found["locator"] += located
            return +found
        for keys in self._locators(ports, case):
            found["locator"] += len(keys)
            if delete:
                ports.records.delete_all(keys)
        return +found

    def _pages(self, ports: Ports, case: Case) -> Iterator[tuple[str, list[Item]]]:
        spared, inventory = in_place(case), case.get("inventory")
        until = inventory["at"] if inventory else math.inf
        for subject in case.subjects:
            closed = case.get("generations")[subject]
            for generation in (*range(1, closed + 1), UNDATED):
                pk = subject_pk(case.project, subject, generation)
                for page in pages(ports.records, pk, expired=True, only=() if generation == UNDATED else _NAMES):
                    ours = [row for row in page if row["kind"] not in spared and began_before(row, until)]
                    if ours:
                        yield pk, ours

    @staticmethod
    def _locators(ports: Ports, case: Case) -> Iterator[list[Key]]:
        """The whole partition of the project: a locator whose rows are gone can be found in no other way."""
        closed = case.get("generations")
        for page in pages(ports.records, locator_pk(case.project), expired=True):
            keys: list[Key] = [
                (row["pk"], row["sk"]) for row in page if row["generation"] <= closed.get(row["subject"], -1)
            ]
            if keys:
                yield keys


def _reverse(case: Case, pk: str, page: list[Item]) -> list[Key]:
    subject = pk.split("#")[2]
    others = [row["sk"].removeprefix(ALIAS) for row in page if row["kind"] == "alias"]
    return [(subject_pk(case.project, other, UNDATED), alias_sk(subject)) for other in others]


def began_before(row: Item, until: float) -> bool:
    """Rows without a generation say when they began: what a person who came back does later is not the erasure's."""
    return bool(row.get("since", 0) <= until)


class Exports:
    """The bucket of finished exports."""

    def covers(self, kind: Kind) -> bool:
        """See Eraser."""
        return kind.key.startswith("{project}/{subject}/")

    def sweep(
        self, ports: Ports, case: Case, *, delete: bool = False, scan: bool = False, until: float = math.inf
    ) -> Counter[str]:
        """See Eraser."""
        found = (key for subject in case.subjects for key in ports.exports.list(f"{case.project}/{subject}/"))
        keys = [key for key in found if not _of_a_return(ports, case, key)]
        if delete and keys:
            ports.exports.delete(keys)
        return +Counter(export=len(keys))


def _of_a_return(ports: Ports, case: Case, key: str) -> bool:
    """Whether a copy was asked for, or an archive begun, after the inventory: by a person who came back. When the
    object was written says nothing: an export that was on its way is written late."""
    inventory = case.get("inventory")
    if inventory is None:
        return False
    begun = begun_at(key)
    if begun is None:
        asked = ports.cases.find(case.project, key.rpartition("/")[2].removesuffix(".zip"))
        begun = asked.created if asked else 0.0
    # In whole seconds, as the inventory's time is: what was begun within its very second goes.
    return bool(int(begun) > inventory["at"])


def in_place(case: Case) -> frozenset[str]:
    """The kinds whose rows a hold keeps where they are; encrypted ones are kept by sealing them anew."""
    return frozenset(kind for hold in case.get("holds", ()) for kind in hold["kinds"] if not sealed_anew(kind))


_ERASERS: dict[str, Eraser] = {
    "projects": Nothing(),
    "vault": Keys(),
    "records": Rows(),
    "requests": Nothing(),
    "signals": Nothing(),
    "patterns": Nothing(),
    "ledger": Nothing(),
    "exports": Exports(),
    "checkpoints": Nothing(),
    "mail": Nothing(),
}


def erasers() -> dict[str, Eraser]:
    """The eraser of every store that the catalogue names. NotCovered where one is missing or does not know a kind."""
    known = {}
    for store in catalogue().stores:
        eraser = _ERASERS.get(store)
        if eraser is None or not all(eraser.covers(kind) for kind in catalogue().of_store(store)):
            raise NotCovered
        known[store] = eraser
    return known
