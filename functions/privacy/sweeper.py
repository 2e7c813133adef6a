"""Entry point of the schedule: proves that what has expired is physically gone (RET-1).

DynamoDB deletes expired items by itself, mostly within two days, with no promise when. Reads filter meanwhile. Each run
looks for rows that are past their term by more than the grace, deletes them, looks again, and says per store how many
there were and how many are left. A run that ends early, since a table is large, says so; the next one starts anew at
another segment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from chatapi.aws.calling import Caller
from chatapi.aws.errors import AwsError
from chatapi.clock import Clock
from chatapi.logs import log, log_error
from chatapi.warm import Warm

GRACE_SECONDS = 48 * 3600
_RESERVE_MS = 30_000
_DAY = 86_400


class Swept(NamedTuple):
    """What a run found in one store: rows deleted, rows left after it, and whether it got through its segment."""

    store: str
    deleted: int
    left: int
    complete: bool


class SweepFailed(Exception):
    """What Lambda gets to see of any failure."""

    def __init__(self) -> None:
        super().__init__("the sweep failed; the log names the error's type and place")


def sweep(
    client: Caller,
    store: str,
    table: str,
    keys: Sequence[str],
    now: float,
    *,
    segment: tuple[int, int] = (0, 1),
    more_time: Callable[[], bool] = lambda: True,
) -> Swept:
    """Delete the rows of `table` (with the key attributes `keys`) that expired more than the grace ago; look again.

    Each delete is on condition that the row is still past its term: one that was written anew stays.
    """
    cutoff = {":cutoff": {"N": str(int(now) - GRACE_SECONDS)}}
    counts = [0, 0]
    for look in (0, 1):
        start: dict[str, Any] = {}
        while True:
            page = client.call("Scan", {
                "TableName": table,
                "Segment": segment[0],
                "TotalSegments": segment[1],
                "FilterExpression": "#ttl < :cutoff",
                "ProjectionExpression": ", ".join(f"#k{number}" for number in range(len(keys))),
                "ExpressionAttributeNames": {"#ttl": "ttl", **{f"#k{n}": key for n, key in enumerate(keys)}},
                "ExpressionAttributeValues": cutoff,
                "ConsistentRead": True,
                **start,
            })  # fmt: skip
            for key in page.get("Items", ()):
                if look == 1:
                    counts[1] += 1
                elif not more_time():  # a page can hold thousands
                    return Swept(store, counts[0], counts[1], complete=False)
                elif _delete(client, table, key, cutoff):
                    counts[0] += 1
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            if not more_time():
                return Swept(store, counts[0], counts[1], complete=False)
    return Swept(store, counts[0], counts[1], complete=True)


def _delete(client: Caller, table: str, key: dict[str, Any], cutoff: dict[str, Any]) -> bool:
    condition = {"ConditionExpression": "#ttl < :cutoff", "ExpressionAttributeNames": {"#ttl": "ttl"}}
    try:
        client.call("DeleteItem", {"TableName": table, "Key": key, **condition, "ExpressionAttributeValues": cutoff})
    except AwsError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        return False
    return True


class _Ports(NamedTuple):
    client: Caller
    clock: Clock
    tables: dict[str, tuple[str, Sequence[str]]]
    segments: int


@Warm
def _composed() -> _Ports:
    """The composition root: made once per warm function, at the first run, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting

    tables: dict[str, tuple[str, Sequence[str]]] = {
        "projects": (setting("PROJECTS_TABLE"), ("pk",)),
        "records": (setting("RECORDS_TABLE"), ("pk", "sk")),
        "requests": (setting("REQUESTS_TABLE"), ("pk", "sk")),
        "signals": (setting("SIGNALS_TABLE"), ("pk",)),
        "patterns": (setting("PATTERNS_TABLE"), ("pk",)),
    }
    client = AwsClient("dynamodb", region=region(), timeout=10.0, attempts=4)
    return _Ports(client, SystemClock(), tables, int(setting("SWEEP_SEGMENTS")))


def run(ports: _Ports, more_time: Callable[[], bool]) -> list[Swept]:
    """Sweep every store once, one segment of it a day."""
    now = ports.clock.now()
    segment = (int(now // _DAY) % ports.segments, ports.segments)
    found = []
    for store, (table, keys) in ports.tables.items():
        swept = sweep(ports.client, store, table, keys, now, segment=segment, more_time=more_time)
        outcome = "left" if swept.left else "ok" if swept.complete else "incomplete"
        log("swept", function="sweeper", store=store, count=swept.deleted, outcome=outcome)
        if swept.left:
            log("expired_left", level="error", function="sweeper", store=store, count=swept.left)
        found.append(swept)
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, Any]]]:
    """One run. The event says nothing that is needed."""
    del event
    try:
        found = run(_composed(), lambda: context.get_remaining_time_in_millis() > _RESERVE_MS)
    except Exception as error:  # noqa: BLE001 - an error's text could quote a key
        log_error("sweep_failed", error, function="sweeper", code=getattr(error, "code", None))
        raise SweepFailed from None
    return {"stores": [swept._asdict() for swept in found]}
