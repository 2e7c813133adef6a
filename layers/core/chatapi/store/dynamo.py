"""The adapter of the port `Table` on DynamoDB, over the lean client.

Sources: Amazon DynamoDB API reference, "UpdateItem", "Query", "BatchWriteItem",
"TransactWriteItems".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from chatapi.aws.av import from_item, to_av, to_item
from chatapi.aws.calling import Caller
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.store.items import Change, Collision, Item, Key, Page

_BATCH = 25
_READS = 100
_ROUNDS = 6


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
        return {"pk": to_av(pk), self._sort: to_av(sk)} if self._sort else {"pk": to_av(pk)}

    def _live(self, wire: Mapping[str, Any] | None) -> Item | None:
        item = from_item(wire) if wire else None
        return item if item is not None and item.get("ttl", 1 << 62) > self._now() else None

    def get(self, pk: str, sk: str | int | None = None) -> Item | None:
        """See Table."""
        request = {"TableName": self._name, "Key": self._key(pk, sk), "ConsistentRead": True}
        return self._live(self._client.call("GetItem", request).get("Item"))

    def get_all(self, keys: Sequence[Key]) -> list[Item]:
        """See Table. What DynamoDB leaves unprocessed (16 MB a call, or a throttle) is asked for again."""
        found: list[Item] = []
        for start in range(0, len(keys), _READS):
            wanted = [self._key(*key) for key in keys[start : start + _READS]]
            waits = 0
            while wanted:
                request = {"RequestItems": {self._name: {"Keys": wanted, "ConsistentRead": True}}}
                answer = self._client.call("BatchGetItem", request)
                wires = answer.get("Responses", {}).get(self._name, [])
                found += [item for wire in wires if (item := self._live(wire))]
                wanted = (answer.get("UnprocessedKeys") or {}).get(self._name, {}).get("Keys", [])
                if wanted and not wires:
                    waits = self._wait(waits)
        return found

    def put(self, item: Item, *, absent: bool = False, expect: Mapping[str, Any] | None = None) -> None:
        """See Table."""
        request: dict[str, Any] = {"TableName": self._name, "Item": to_item(item)}
        words = _Words()
        conditions = [*(["attribute_not_exists(pk)"] if absent else []), *words.conditions(expect or {})]
        if conditions:
            request |= words.request() | _on(conditions)
        self._conditional("PutItem", request)

    def put_all(self, items: Sequence[Item]) -> None:
        """See Table."""
        self._batches([{"PutRequest": {"Item": to_item(item)}} for item in items])

    def delete_all(self, keys: Iterable[Key]) -> None:
        """See Table."""
        self._batches([{"DeleteRequest": {"Key": self._key(*key)}} for key in keys])

    def _batches(self, writes: list[dict[str, Any]]) -> None:
        for start in range(0, len(writes), _BATCH):
            left, waits = {self._name: writes[start : start + _BATCH]}, 0
            while left:
                left = self._client.call("BatchWriteItem", {"RequestItems": left}).get("UnprocessedItems") or {}
                if left:
                    waits = self._wait(waits)

    def _wait(self, waits: int) -> int:
        """The pause before what was left unprocessed is sent again; AwsUnavailable after the last one."""
        if waits == _ROUNDS:
            raise AwsUnavailable("UnprocessedItems")
        self._sleep(0.05 * 2**waits)
        return waits + 1

    def update(self, pk: str, sk: str | None, change: Change) -> Item:
        """See Table."""
        words = _Words()
        request = self._update(words, pk, sk, change) | {"ReturnValues": "ALL_NEW"}
        return from_item(self._conditional("UpdateItem", request)["Attributes"])

    def apply(self, pk: str, sk: str | None, change: Change) -> None:
        """See Table."""
        self._conditional("UpdateItem", self._update(_Words(), pk, sk, change))

    def fold(self, key: Key, expect: Mapping[str, Any], pk: str, sk: str | None, change: Change) -> None:
        """See Table. Tried again while another write of one of the two is under way."""
        words = _Words()
        condition = {"ConditionExpression": " AND ".join(words.conditions(expect))}
        delete = {"TableName": self._name, "Key": self._key(*key), **condition, **words.request()}
        actions = [{"Delete": delete}, {"Update": self._update(_Words(), pk, sk, change)}]
        waits = 0
        while True:
            try:
                self._client.call("TransactWriteItems", {"TransactItems": actions})
                return
            except AwsError as error:
                if error.code != "TransactionCanceledException":
                    raise
                if "ConditionalCheckFailed" in error.reasons:
                    break
            waits = self._wait(waits)
        raise Collision

    def _update(self, words: _Words, pk: str, sk: str | None, change: Change) -> dict[str, Any]:
        """A change as DynamoDB takes it, alone or in a transaction."""
        if not change.expect:
            return self._plain_update(pk, sk, change)
        name, value = words.name, words.value
        sets = [f"{name(k)} = {value(v)}" for k, v in change.put.items()]
        sets += [f"{(n := name(k))} = if_not_exists({n}, {value(v)})" for k, v in change.default.items()]
        parts = ["SET " + ", ".join(sets)] if sets else []
        if change.add:
            parts.append("ADD " + ", ".join(f"{name(k)} {value(v)}" for k, v in change.add.items()))
        if change.drop:
            parts.append("REMOVE " + ", ".join(name(k) for k in change.drop))
        conditions = words.conditions(change.expect)
        request: dict[str, Any] = {
            "TableName": self._name,
            "Key": self._key(pk, sk),
            "UpdateExpression": " ".join(parts),
            **words.request(),
        }
        return request | _on(conditions) if conditions else request

    def _plain_update(self, pk: str, sk: str | None, change: Change) -> dict[str, Any]:
        """The same of a change without a condition, as every chat makes one: its words are put together once."""
        expression, names, places = _words_of(*map(tuple, (change.put, change.default, change.add, change.drop)))
        request: dict[str, Any] = {
            "TableName": self._name,
            "Key": self._key(pk, sk),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": dict(names),
        }
        given = (*change.put.values(), *change.default.values(), *change.add.values())
        if given:
            request["ExpressionAttributeValues"] = dict(zip(places, map(to_av, given), strict=True))
        return request

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
        request = self._partition(pk, prefix, after) | {"ScanIndexForward": not descending}
        if limit is not None:
            request["Limit"] = limit + 1
        found: list[Item] = []
        while True:
            page = self._client.call("Query", request)
            found += self._items(page, expired)
            if "LastEvaluatedKey" not in page or (limit is not None and len(found) >= limit):
                return found[:limit]
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def page(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | int | None = None,
        expired: bool = False,
        only: Sequence[str] = (),
    ) -> Page:
        """See Table: one Query, which reads 1 MB at most."""
        request = self._partition(pk, prefix, after)
        if only:
            words = _Words()
            wanted = (*only, *(() if expired or "ttl" in only else ("ttl",)))
            request["ProjectionExpression"] = ", ".join(words.name(attribute) for attribute in wanted)
            request |= words.request()
        answer = self._client.call("Query", request)
        last = answer.get("LastEvaluatedKey")
        return Page(self._items(answer, expired), from_item(last)[self._sort] if last and self._sort else None)

    def _partition(self, pk: str, prefix: str, after: str | int | None) -> dict[str, Any]:
        """A consistent Query of a partition, past `after`."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": to_av(pk)},
            "ConsistentRead": True,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :sk)"
            request["ExpressionAttributeValues"][":sk"] = to_av(prefix)
        if after is not None:
            request["ExclusiveStartKey"] = self._key(pk, after)
        return request

    def _items(self, answer: Mapping[str, Any], expired: bool) -> list[Item]:
        wires = answer.get("Items", ())
        return [item for wire in wires if (item := from_item(wire) if expired else self._live(wire))]


class _Words:
    """The placeholders of one request's expressions: attribute names and values never stand in them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, plain: Any) -> str:
        self._values[f":v{len(self._values)}"] = to_av(plain)
        return f":v{len(self._values) - 1}"

    def conditions(self, expect: Mapping[str, Any]) -> list[str]:
        found = []
        for attribute, wanted in expect.items():
            if wanted is None:
                found.append(f"attribute_not_exists({self.name(attribute)})")
            elif isinstance(wanted, frozenset):
                found.append(f"{self.name(attribute)} IN ({', '.join(self.value(v) for v in sorted(wanted))})")
            else:
                found.append(f"{self.name(attribute)} = {self.value(wanted)}")
        return found

    def request(self) -> dict[str, Any]:
        request: dict[str, Any] = {}
        if self._names:
            request["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            request["ExpressionAttributeValues"] = self._values
        return request


@lru_cache(maxsize=256)
def _words_of(
    put: tuple[str, ...], default: tuple[str, ...], add: tuple[str, ...], drop: tuple[str, ...]
) -> tuple[str, Mapping[str, str], Sequence[str]]:
    """The update expression of a change of these attributes, the names, and the places of its values in their order."""
    places = {attribute: f"#n{index}" for index, attribute in enumerate(dict.fromkeys((*put, *default, *add, *drop)))}
    values = (f":v{index}" for index in count())
    sets = [f"{places[name]} = {next(values)}" for name in put]
    sets += [f"{places[name]} = if_not_exists({places[name]}, {next(values)})" for name in default]
    parts = ["SET " + ", ".join(sets)] if sets else []
    if add:
        parts.append("ADD " + ", ".join(f"{places[name]} {next(values)}" for name in add))
    if drop:
        parts.append("REMOVE " + ", ".join(places[name] for name in drop))
    numbered = tuple(f":v{index}" for index in range(len(put) + len(default) + len(add)))
    return " ".join(parts), {place: name for name, place in places.items()}, numbered


def _on(conditions: list[str]) -> dict[str, Any]:
    """A refusal brings the item as it stands, so that the caller need not read it."""
    return {"ConditionExpression": " AND ".join(conditions), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
