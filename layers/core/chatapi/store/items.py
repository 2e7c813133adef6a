"""The port to one table, and the shipped fake.

An item is a flat dictionary of Python values (str, int, bytes, bool, None, list, dict, frozenset) with a partition key
`pk` and, where the table has one, a sort key. Reads are consistent: an erasure must be seen by the next request.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

Item = dict[str, Any]
Key = tuple[str, str | int | None]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Page(NamedTuple):
    """What one read of a partition gave, and the sort key to go on behind: None at the end. `items` may be empty with
    more behind them, where what was read has expired."""

    items: list[Item]
    after: str | int | None


class Collision(Exception):
    """A condition did not hold: the item exists, is missing, or is in another state. Carries the item as it stands."""

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("a condition on an item did not hold")
        self.item = item


class Change(NamedTuple):
    """One atomic update of an item.

    `put` sets, `default` sets what is absent, `add` adds numbers, `drop` removes attributes. `expect` are the values
    (or sets of values: any of them) that must stand before; None means absent.
    """

    put: Mapping[str, Any] = _NOTHING
    default: Mapping[str, Any] = _NOTHING
    add: Mapping[str, int] = _NOTHING
    drop: Sequence[str] = ()
    expect: Mapping[str, Any] = _NOTHING


class Table(Protocol):
    """One table. Every method may raise `chatapi.aws.errors.AwsError`, which callers let through as a 503."""

    def get(self, pk: str, sk: str | int | None = None) -> Item | None:
        """The item, or None. Items past their `ttl` do not exist (TTL deletion is lazy, so reads filter)."""
        ...

    def get_all(self, keys: Sequence[Key]) -> list[Item]:
        """The items of up to any number of distinct keys that are there and not past their `ttl`, in no order."""
        ...

    def put(self, item: Item, *, absent: bool = False, expect: Mapping[str, Any] | None = None) -> None:
        """Write an item; Collision where one stands (`absent`), or does not stand as `expect` says (see Change)."""
        ...

    def put_all(self, items: Sequence[Item]) -> None:
        """Write items, not as a transaction: the caller orders them so that a part of them is harmless."""
        ...

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        """Apply a change and return the new item. Collision where `expect` does not hold."""
        ...

    def apply(self, pk: str, sk: str | None, change: Change) -> None:
        """The same, for whoever has no use for the new item: it is not sent back."""
        ...

    def fold(self, key: Key, expect: Mapping[str, Any], pk: str, sk: str | None, change: Change) -> None:
        """Delete one item and change another, both or neither. Collision where the first is not as `expect`ed."""
        ...

    def delete_all(self, keys: Iterable[Key]) -> None:
        """Delete items; those that are gone already count as deleted."""
        ...

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | int | None = None,
        limit: int | None = None,
        descending: bool = False,
        expired: bool = False,
    ) -> list[Item]:
        """All items of a partition whose sort key begins with `prefix`, in order, past `after`; at most `limit`.
        With `expired`, also those past their `ttl`: an erasure and a residue scan want what physically stands."""
        ...

    def page(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | int | None = None,
        expired: bool = False,
        only: Sequence[str] = (),
    ) -> Page:
        """The same, as much of it as the store reads at once (DynamoDB: 1 MB, in one call), for whoever walks over all
        of a partition: neither memory nor calls hang on how large the items are. `only` names the attributes wanted."""
        ...


def pages(
    table: Table, pk: str, prefix: str = "", *, expired: bool = False, only: Sequence[str] = ()
) -> Iterator[list[Item]]:
    """A whole partition, page by page as the store reads it (see `Table.page`); no page is empty."""
    found = table.page(pk, prefix, expired=expired, only=only)
    while True:
        if found.items:
            yield found.items
        if found.after is None:
            return
        found = table.page(pk, prefix, after=found.after, expired=expired, only=only)


PAGE_ROWS = 50
"""How many rows the fake reads at once."""


class MemoryTable:
    """A table in memory: the shipped fake. `now` is a function, so that TTL can be tested."""

    def __init__(self, sort: str | None = "sk", now: Any = lambda: 0.0) -> None:
        self._sort = sort
        self._now = now
        self.rows: dict[Key, Item] = {}

    def _key(self, item: Mapping[str, Any]) -> Key:
        return item["pk"], item[self._sort] if self._sort else None

    def _live(self, item: Item | None) -> Item | None:
        return copy.deepcopy(item) if item is not None and item.get("ttl", 1 << 62) > self._now() else None

    def get(self, pk: str, sk: str | int | None = None) -> Item | None:
        """See Table."""
        return self._live(self.rows.get((pk, sk)))

    def get_all(self, keys: Sequence[Key]) -> list[Item]:
        """See Table."""
        return [item for key in keys if (item := self._live(self.rows.get(key)))]

    def put(self, item: Item, *, absent: bool = False, expect: Mapping[str, Any] | None = None) -> None:
        """See Table."""
        key = self._key(item)
        if absent and key in self.rows:
            raise Collision(copy.deepcopy(self.rows[key]))
        _expected(self.rows.get(key), expect or {})
        self.rows[key] = copy.deepcopy(item)

    def put_all(self, items: Sequence[Item]) -> None:
        """See Table."""
        for item in items:
            self.put(item)

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        """See Table."""
        item = self.rows.get((pk, sk))
        _expected(item, change.expect)
        new = item or {"pk": pk, **({self._sort: sk} if self._sort else {})}
        new.update(copy.deepcopy(dict(change.put)))
        for name, value in change.default.items():
            new.setdefault(name, copy.deepcopy(value))
        for name, amount in change.add.items():
            new[name] = new.get(name, 0) + amount
        for name in change.drop:
            new.pop(name, None)
        self.rows[pk, sk] = new
        return copy.deepcopy(new)

    def apply(self, pk: str, sk: str | None, change: Change) -> None:
        """See Table."""
        self.update(pk, sk, change)

    def fold(self, key: Key, expect: Mapping[str, Any], pk: str, sk: str | None, change: Change) -> None:
        """See Table."""
        _expected(self.rows.get(key), expect)
        self.update(pk, sk, change)
        del self.rows[key]

    def delete_all(self, keys: Iterable[Key]) -> None:
        """See Table."""
        for key in list(keys):
            self.rows.pop(key, None)

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | int | None = None,
        limit: int | None = None,
        descending: bool = False,
        expired: bool = False,
    ) -> list[Item]:
        """See Table."""
        found = [k for k in self.rows if k[0] == pk and (not prefix or str(k[1]).startswith(prefix))]
        found.sort(key=lambda k: k[1], reverse=descending)  # type: ignore[arg-type, return-value]
        if after is not None:
            found = [k for k in found if (k[1] < after if descending else k[1] > after)]  # type: ignore[operator]
        items = [item for k in found if (item := copy.deepcopy(self.rows[k]) if expired else self._live(self.rows[k]))]
        return items[:limit]

    def page(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | int | None = None,
        expired: bool = False,
        only: Sequence[str] = (),
    ) -> Page:
        """See Table: `PAGE_ROWS` at a time."""
        found = self.query(pk, prefix, after=after, limit=PAGE_ROWS, expired=True)
        last = found[-1][self._sort] if self._sort and len(found) == PAGE_ROWS else None
        live = found if expired else [item for item in found if item.get("ttl", 1 << 62) > self._now()]
        return Page([{name: item[name] for name in only or item if name in item} for item in live], last)


def _expected(item: Item | None, expect: Mapping[str, Any]) -> None:
    for name, wanted in expect.items():
        have = (item or {}).get(name)
        if have not in wanted if isinstance(wanted, frozenset) else have != wanted:
            raise Collision(copy.deepcopy(item))
