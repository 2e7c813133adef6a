"""Where usage lies: day rows by date, through an index, and the rows that were gathered from them.

Records, index `usage`     shard = {YYYYMMDD}#{0-15}            day rows and remainders of that date
Projects                   u#{project}#{YYYYMMDD}               counts of a project's day by key and model
                           g#usage                              when that was last gathered
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from chatapi.aws.av import from_item, to_av
from chatapi.aws.calling import Caller
from chatapi.catalogue import expiry
from chatapi.store.items import Item, Key, MemoryTable, Table
from chatapi.usage import By, Counts

INDEX = "usage"
SHARDS = 16
"""Partitions of a date in the index: one takes about 1,000 writes a second, and each chat is one."""
_MARK = "g#usage"


def shard_of(date: str, pk: str) -> str:
    """The index partition of a row of `date`: the rows of a project spread over all of them."""
    return f"{date}#{zlib.crc32(pk.encode()) % SHARDS}"


class DayIndex(Protocol):
    """The rows of a date that carry counters."""

    def rows(self, date: str) -> Iterator[Item]:
        """All of them, in no order, with their keys."""
        ...


class DynamoDayIndex:
    """The index `usage` of the Records table. Eventually consistent, as every global index is: what a gathering
    misses by some milliseconds the next one finds."""

    def __init__(self, client: Caller, table: str) -> None:
        self._client = client
        self._table = table

    def rows(self, date: str) -> Iterator[Item]:
        """See DayIndex."""
        for number in range(SHARDS):
            request: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": INDEX,
                "KeyConditionExpression": "#shard = :shard",  # a reserved word, which moto does not mind
                "ExpressionAttributeNames": {"#shard": "shard"},
                "ExpressionAttributeValues": {":shard": to_av(f"{date}#{number}")},
            }
            while True:
                page = self._client.call("Query", request)
                yield from map(from_item, page.get("Items", ()))
                if "LastEvaluatedKey" not in page:
                    break
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class MemoryDayIndex:
    """The same over a table in memory."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table

    def rows(self, date: str) -> Iterator[Item]:
        """See DayIndex."""
        wanted = {f"{date}#{number}" for number in range(SHARDS)}
        return iter([dict(row) for row in self._table.rows.values() if row.get("shard") in wanted])


class UsageRows:
    """The repository of gathered usage. `table`: catalogued Projects."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, project: str, date: str, by: By, at: float) -> None:
        """What a project used on a day, whole: it replaces what stood."""
        counts = {f"{kid}/{model}": list(each) for (kid, model), each in by.items()}
        ends = expiry("usage", at)
        self._table.put(
            {"pk": f"u#{project}#{date}", "kind": "usage", "counts": counts, "at": int(at), "ttl": ends},
        )

    def mark(self, at: float) -> None:
        """All usage up to `at` is gathered."""
        self._table.put({"pk": _MARK, "kind": "gathering", "at": int(at)})

    def gathered_at(self) -> int | None:
        """When usage was last gathered, POSIX seconds; None before the first time."""
        mark = self._table.get(_MARK)
        return mark["at"] if mark else None

    def read(self, project: str, dates: Sequence[str]) -> tuple[dict[str, By], int | None]:
        """What a project used on each of at most 92 days (those with usage alone), and when it was gathered."""
        found = {item["pk"]: item for item in self._table.get_all([(_MARK, None), *self._keys(project, dates)])}
        mark = found.pop(_MARK, None)
        return {pk.rpartition("#")[2]: _by(item) for pk, item in found.items()}, mark["at"] if mark else None

    @staticmethod
    def _keys(project: str, dates: Iterable[str]) -> list[Key]:
        return [(f"u#{project}#{date}", None) for date in dates]


def _by(item: Item) -> By:
    out: By = {}
    for name, counts in item["counts"].items():
        kid, _, model = name.partition("/")
        out[kid, model] = Counts(*counts)
    return out
