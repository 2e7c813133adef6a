"""The erasure ledger, replayed into a restored Records table: what may not come back from a backup.

A backup holds rows of subjects that were erased since, single rows that were deleted or corrected since, and rows that
have expired. What tells: the Vault's tombstones (no backup, no end), the erasure cases, the marks of single deletions
and corrections (chatapi/store/marks.py), and each row's own term. A row whose subject has no key in the Vault opens for
nobody and goes as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from chatapi.aws.av import from_item, to_item
from chatapi.aws.calling import Caller
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.clock import Clock
from chatapi.store.case_states import IRREVERSIBLE
from chatapi.store.dynamo import DynamoTable
from chatapi.store.items import Item, Key
from chatapi.store.keys import HOLD, UNDATED, case_pk
from chatapi.store.marks import Marks
from chatapi.vault import State, VaultItem
from chatapi.vault.dynamo import DynamoWraps

_CASES = 100


class Ledger:
    """What was erased, deleted and corrected, as the live stores know it. `fresh` forgets what was read before."""

    def __init__(self, client: Caller, *, vault: str, requests: str, records: str, clock: Clock) -> None:
        self._wraps = DynamoWraps(client, vault)
        self._requests = Catalogued(DynamoTable(client, requests, now=clock.now), "requests")
        self._live = DynamoTable(client, records, now=clock.now)
        self._marks = Marks(self._requests, clock)
        self._clock = clock
        self.fresh()

    def fresh(self) -> None:
        """Read everything again from here on."""
        self._items: dict[tuple[str, str], VaultItem | None] = {}
        self._erased: dict[str, dict[str, float]] = {}

    def forbidden(self, rows: list[Item]) -> dict[Key, str]:
        """Those of `rows` that may not come back, and why: expired, erased, deleted."""
        why: dict[Key, str] = {}
        for row in rows:
            if row.get("ttl", 1 << 62) <= self._clock.now():
                why[row["pk"], row["sk"]] = "expired"
            elif self._is_erased(row):
                why[row["pk"], row["sk"]] = "erased"
        rest = {(row["pk"], row["sk"]): row for row in rows if (row["pk"], row["sk"]) not in why}
        marked = {key: upto for key, upto in self._marks.of(list(rest)).items() if rest[key].get("rev", 1) <= upto}
        live = {(row["pk"], row["sk"]): row.get("rev", 1) for row in self._live.get_all(list(marked))}
        # A mark is written before its row goes: a live row of the same revision was never deleted after all.
        why.update({key: "deleted" for key in marked if live.get(key) != rest[key].get("rev", 1)})
        return why

    def _is_erased(self, row: Item) -> bool:
        kind, project, *rest = row["pk"].split("#")
        if kind == "l":
            return self._closed(project, row["subject"], int(row["generation"]))
        if kind != "s" or len(rest) != 2:
            return False  # rows that name no data subject
        subject, generation = rest
        if generation == HOLD:
            holder = self._item(project, "hold_" + row["sk"].split("#")[0])
            return holder is None or holder.state is State.ERASED
        if generation == UNDATED:
            return bool(row.get("since", 0) <= self._erased_until(project, subject))
        return self._closed(project, subject, int(generation))

    def _closed(self, project: str, subject: str, generation: int) -> bool:
        item = self._item(project, subject)
        return item is None or item.generation != generation or item.state is State.ERASED

    def _erased_until(self, project: str, subject: str) -> float:
        """Rows without a generation that began until then are erased: by a tombstone, or a case without any key."""
        item = self._item(project, subject)
        stones = [stone.erased_at for stone in item.tombstones.values()] if item else []
        return max([*stones, self._cases(project).get(subject, -1)])

    def _item(self, project: str, subject: str) -> VaultItem | None:
        if (project, subject) not in self._items:
            self._items[project, subject] = self._wraps.get(project, subject)
        return self._items[project, subject]

    def _cases(self, project: str) -> dict[str, float]:
        if project not in self._erased:
            found: dict[str, float] = {}
            after: str | None = None
            while page := self._requests.query(case_pk(project), after=after, limit=_CASES):
                after = page[-1]["sk"]
                for case in page:
                    # Past the point of no return it is gone, or will be: never back from a backup.
                    if case.get("type") == "erasure" and case.get("stage") == IRREVERSIBLE and "inventory" in case:
                        for subject in case.get("subjects", ()):
                            found[subject] = max(found.get(subject, -1), case["inventory"]["at"])
            self._erased[project] = found
        return self._erased[project]


def scanned(client: Caller, table: str) -> Iterator[list[Item]]:
    """A table page by page (1 MB each), expired rows too."""
    start: dict[str, Any] = {}
    while True:
        page = client.call("Scan", {"TableName": table, "ConsistentRead": True, **start})
        yield [from_item(wire) for wire in page.get("Items", ())]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def replay(client: Caller, ledger: Ledger, table: str) -> Iterator[Counter[str]]:
    """Delete from `table` what may not come back; what was done so far, after each page. Idempotent: a run that was
    interrupted is simply run again. Ends with a second look that must find nothing (`left`)."""
    counts: Counter[str] = Counter()
    target = DynamoTable(client, table)
    for rows in scanned(client, table):
        ledger.fresh()
        why = ledger.forbidden(rows)
        target.delete_all(list(why))
        counts.update(why.values())
        counts["kept"] += len(rows) - len(why)
        yield counts
    ledger.fresh()
    for rows in scanned(client, table):
        counts["left"] += len(ledger.forbidden(rows))
    yield counts


def give_back(client: Caller, ledger: Ledger, source: str, target: str) -> Iterator[Counter[str]]:
    """Copy rows of a replayed table that the live one lacks. Each page is judged anew, and once more when it is
    written: an erasure that came in between takes the copy with it. Never overwrites. Idempotent."""
    counts: Counter[str] = Counter()
    live = DynamoTable(client, target)
    for rows in scanned(client, source):
        ledger.fresh()
        why = ledger.forbidden(rows)
        written = [row for row in rows if (row["pk"], row["sk"]) not in why and _put(client, target, row)]
        ledger.fresh()
        late = ledger.forbidden(written)
        live.delete_all(list(late))
        counts["refused"] += len(why) + len(late)
        counts["given_back"] += len(written) - len(late)
        counts["there_already"] += len(rows) - len(why) - len(written)
        yield counts


def _put(client: Caller, table: str, row: Item) -> bool:
    condition = "attribute_not_exists(pk)"
    try:
        client.call("PutItem", {"TableName": table, "Item": to_item(row), "ConditionExpression": condition})
    except AwsError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        return False
    return True
