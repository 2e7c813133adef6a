"""The data catalogue: every store, kind of record and field, from `policy/`. What it does not name cannot be written.

Export, erasure, retention and the record of processing (GDPR Art. 30) are read from this one place, so none of them
can forget a store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from chatapi.store.items import Change, Item, Key, Table

POLICY = Path(__file__).parent / "policy"
_DAY = 86400


class NotInCatalogue(RuntimeError):
    """A kind or field that the catalogue does not name was about to be written. Names neither value nor field."""


@dataclass(frozen=True)
class Kind:
    """One kind of record, as policy/catalogue.toml describes it. `days`: its retention, None for the live ones;
    `located`: a locator row leads from a record's id to its data subject; `indexes`: fields that are digests of what a
    person wrote, each with what makes it harmless after an erasure."""

    name: str
    store: str
    key: str
    fields: frozenset[str]
    purpose: str
    export: bool
    erase: str
    why: str
    encrypted: frozenset[str]
    days: int | None
    located: bool = False
    indexes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def allows(self, field: str) -> bool:
        """Whether a field is named, exactly or by a pattern such as `r0_*`."""
        return field in self.fields or field.startswith(self.stems)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """What stands before the `*` of the names that are patterns."""
        return tuple(name[:-1] for name in self.fields if name.endswith("*"))

    def allows_all(self, fields: Set[str]) -> bool:
        """Whether each of the fields is named so."""
        return all(map(self.allows, fields - self.fields))


class Catalogue(NamedTuple):
    """The stores (name → CloudFormation resource) and the kinds."""

    stores: dict[str, str]
    kinds: dict[str, Kind]

    def of_store(self, store: str) -> list[Kind]:
        """The kinds kept in a store."""
        return [kind for kind in self.kinds.values() if kind.store == store]


@cache
def read_policy(name: str) -> dict[str, Any]:
    """A file of policy/, parsed once per process."""
    return tomllib.loads((POLICY / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def catalogue() -> Catalogue:
    """The catalogue of this build. ValueError where it contradicts itself."""
    raw, days = read_policy("catalogue"), read_policy("retention")["days"]
    purposes = read_policy("purposes")["purposes"]
    stores = {name: str(store["resource"]) for name, store in raw["stores"].items()}
    kinds = {}
    for name, kind in raw["kinds"].items():
        if kind["store"] not in stores or kind["purpose"] not in purposes:
            raise ValueError("a kind names an unknown store or purpose: " + name)
        if kind["erase"] not in ("delete", "shred", "keep", "none"):
            raise ValueError("a kind must say how an erasure ends it: " + name)
        if kind["erase"] in ("keep", "none") and not kind.get("why"):
            raise ValueError("a kind that outlives an erasure must say why: " + name)
        if any("*" in name[:-1] for name in kind["fields"]):
            raise ValueError("the star of a pattern stands at its end: " + name)
        indexes = kind.get("indexes", {})
        if not indexes.keys() <= set(kind["fields"]) or not set(indexes.values()) <= {"subject", "cut", "day"}:
            raise ValueError("a blind index may not outlive its subject: " + name)
        if "day" in indexes.values() and days.get(name, 2) > 1:
            raise ValueError("a kind with an index of a day lives longer than that: " + name)
        kinds[name] = Kind(
            name=name,
            store=kind["store"],
            key=kind["key"],
            fields=frozenset(kind["fields"]),
            purpose=kind["purpose"],
            export=kind["export"],
            erase=kind["erase"],
            why=kind.get("why", ""),
            encrypted=frozenset(kind.get("encrypted", ())),
            days=days.get(name),
            located=kind.get("located", False),
            indexes=indexes,
        )
    return Catalogue(stores, kinds)


def expiry(kind: str, now: float, ceiling_days: int | None = None, *, ceiling_seconds: int | None = None) -> int:
    """When a record of a kind ends, POSIX seconds. A ceiling can only tighten the term (MSG-2, RET-1)."""
    days = catalogue().kinds[kind].days
    if days is None:
        raise NotInCatalogue("a kind without a retention term")
    term = _DAY * (days if ceiling_days is None else min(days, ceiling_days))
    return int(now) + (term if ceiling_seconds is None else min(term, ceiling_seconds))


class Catalogued:
    """A table that takes only what the catalogue names for its store. Wraps any `Table`."""

    def __init__(self, table: Table, store: str) -> None:
        self._table = table
        self._kinds = {kind.name: kind for kind in catalogue().of_store(store)}
        # Reading and deleting need no gate; they are the table's own.
        self.get = table.get
        self.get_all = table.get_all
        self.query = table.query
        self.page = table.page
        self.delete_all = table.delete_all

    def put(self, item: Item, *, absent: bool = False, expect: Mapping[str, Any] | None = None) -> None:
        """See Table; NotInCatalogue where a kind or field is not named."""
        self._check(item)
        self._table.put(item, absent=absent, expect=expect)

    def put_all(self, items: Sequence[Item]) -> None:
        """See Table; NotInCatalogue before anything is written."""
        for item in items:
            self._check(item)
        self._table.put_all(items)

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        """See Table. The change carries its `kind` in `put` or `default`, or `expect`s it."""
        self._check_change(change)
        return self._table.update(pk, sk, change)

    def apply(self, pk: str, sk: str | None, change: Change) -> None:
        """See Table; checked as in `update`."""
        self._check_change(change)
        self._table.apply(pk, sk, change)

    def fold(self, key: Key, expect: Mapping[str, Any], pk: str, sk: str | None, change: Change) -> None:
        """See Table; what the change writes is checked as in `update`."""
        self._check({**change.put, **change.default, **change.add})
        self._table.fold(key, expect, pk, sk, change)

    def _check_change(self, change: Change) -> None:
        touched = {**change.put, **change.default, **change.add}
        if "kind" not in touched:
            touched["kind"] = change.expect.get("kind")
        self._check(touched)

    def _check(self, item: Item) -> None:
        kind = self._kinds.get(item.get("kind", ""))
        if kind is None or not kind.allows_all(item.keys()):
            raise NotInCatalogue("a kind or field that policy/catalogue.toml does not name")
