"""Reading signals: for the operator alone, whose role may scan the table. Nothing in the API does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chatapi.aws.av import from_item
from chatapi.aws.calling import Caller
from chatapi.store.items import Item


def every_row(client: Caller, table: str) -> Iterator[Item]:
    """All that physically stands in a table."""
    request: dict[str, Any] = {"TableName": table}
    while True:
        page = client.call("Scan", request)
        yield from map(from_item, page.get("Items", ()))
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def live_signals(rows: Iterable[Item], now: float) -> list[dict[str, Any]]:
    """The signals that have not expired (TTL deletion takes days), most failures first: day, address's hash, failures
    by kind, clients by coarse class. A salt is never among them."""
    found = []
    for row in rows:
        if row.get("kind") == "signal" and row["ttl"] > now:
            failures = {name[2:]: int(count) for name, count in row.items() if name.startswith("n_")}
            clients = {name[2:]: int(count) for name, count in row.items() if name.startswith("c_")}
            address = row["pk"].rpartition("#")[2]
            found.append({"date": row["date"], "address": address, "failures": failures, "clients": clients})
    return sorted(found, key=lambda each: (-sum(each["failures"].values()), each["date"], each["address"]))
