"""The adapter of the port `Table` on DynamoDB, over the lean client.

Sources: Amazon DynamoDB API reference, "UpdateItem", "Query", "BatchWriteItem".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from chatapi.aws.av import from_item, to_av, to_item
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.store.items import Change, Collision, Item, Key

_BATCH = 25
_ROUNDS = 6


class Caller(Protocol):
    """What is needed of a client."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class DynamoTable:
    """One table. `sort` names its sort key, None where it has none; `now` filters what is past its TTL."""

    def __init__(
        self,
        client: Caller,
        name: str,
        *,
        sort: str | None = "sk",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._name = name
        self._sort = sort
        self._now = now
        self._sleep = sleep

    def _key(self, pk: str, sk: str | int | None) -> dict[str, Any]:
        return to_item({"pk": pk, **({self._sort: sk} if self._sort else {})})

    def _live(self, wire: Mapping[str, Any] | None) -> Item | None:
        item = from_item(wire) if wire else None
        return item if item is not None and item.get("ttl", 1 << 62) > self._now() else None

    def get(self, pk: str, sk: str | int | None = None) -> Item | None:
        """See Table."""
        request = {"TableName": self._name, "Key": self._key(pk, sk), "ConsistentRead": True}
        return self._live(self._client.call("GetItem", request).get("Item"))

    def put(self, item: Item, *, absent: bool = False) -> None:
        """See Table."""
        request: dict[str, Any] = {"TableName": self._name, "Item": to_item(item)}
        if absent:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        self._conditional("PutItem", request)

    def put_all(self, items: Sequence[Item]) -> None:
        """See Table."""
        self._batches([{"PutRequest": {"Item": to_item(item)}} for item in items])

    def delete_all(self, keys: Iterable[Key]) -> None:
        """See Table."""
        self._batches([{"DeleteRequest": {"Key": self._key(*key)}} for key in keys])

    def _batches(self, writes: list[dict[str, Any]]) -> None:
        for start in range(0, len(writes), _BATCH):
            left = {self._name: writes[start : start + _BATCH]}
            for attempt in range(_ROUNDS):
                left = self._client.call("BatchWriteItem", {"RequestItems": left}).get("UnprocessedItems") or {}
                if not left:
                    break
                self._sleep(0.05 * 2**attempt)
            else:
                raise AwsUnavailable("UnprocessedItems")

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        """See Table."""
        names: dict[str, str] = {}
        known: dict[str, str] = {}
        values: dict[str, Any] = {}

        def name(attribute: str) -> str:
            placeholder = known.setdefault(attribute, f"#n{len(known)}")
            names[placeholder] = attribute
            return placeholder

        def value(plain: Any) -> str:
            values[f":v{len(values)}"] = to_av(plain)
            return f":v{len(values) - 1}"

        sets = [f"{name(k)} = {value(v)}" for k, v in change.put.items()]
        sets += [f"{(n := name(k))} = if_not_exists({n}, {value(v)})" for k, v in change.default.items()]
        parts = ["SET " + ", ".join(sets)] if sets else []
        if change.add:
            parts.append("ADD " + ", ".join(f"{name(k)} {value(v)}" for k, v in change.add.items()))
        if change.drop:
            parts.append("REMOVE " + ", ".join(name(k) for k in change.drop))
        conditions = []
        for attribute, wanted in change.expect.items():
            if wanted is None:
                conditions.append(f"attribute_not_exists({name(attribute)})")
            elif isinstance(wanted, frozenset):
                conditions.append(f"{name(attribute)} IN ({', '.join(value(v) for v in sorted(wanted))})")
            else:
                conditions.append(f"{name(attribute)} = {value(wanted)}")
        request: dict[str, Any] = {
            "TableName": self._name,
            "Key": self._key(pk, sk),
            "UpdateExpression": " ".join(parts),
            "ExpressionAttributeNames": names,
            "ReturnValues": "ALL_NEW",
        }
        if values:
            request["ExpressionAttributeValues"] = values
        if conditions:
            request["ConditionExpression"] = " AND ".join(conditions)
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return from_item(self._conditional("UpdateItem", request)["Attributes"])

    def _conditional(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._client.call(operation, request)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            raise Collision(from_item(error.item) if error.item else None) from None

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
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": to_av(pk)},
            "ConsistentRead": True,
            "ScanIndexForward": not descending,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :sk)"
            request["ExpressionAttributeValues"][":sk"] = to_av(prefix)
        if limit is not None:
            request["Limit"] = limit + 1
        if after is not None:
            request["ExclusiveStartKey"] = self._key(pk, after)
        found: list[Item] = []
        while True:
            page = self._client.call("Query", request)
            found += [
                item for wire in page.get("Items", ()) if (item := from_item(wire) if expired else self._live(wire))
            ]
            if "LastEvaluatedKey" not in page or (limit is not None and len(found) >= limit):
                return found[:limit]
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
