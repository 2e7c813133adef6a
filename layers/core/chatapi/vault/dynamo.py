"""`WrapStore` on DynamoDB: one item per subject, every write conditional on the revision that the step started from.

    pk    "v#<project>#<subject>"                 the table's only key
    g     generation                              rev   revision, the optimistic lock
    st    active | frozen | erased                fz    the case that froze it, or absent
    kv    keyver for new messages                 w     {keyver: wrapped key}, empty when erased
    tk    true where arn is a key that the tenant brought, or absent
    rs    the case that restricted processing (GDPR Art. 18), or absent
    arn   the KMS key of the wraps                at    when the generation was opened, POSIX seconds
    ts    {generation: {at, case, arn, sha: {keyver: hex SHA-256 of the wrap}}}: the tombstones

The table has no TTL, stream, point-in-time recovery or backup. The steps themselves are in `chatapi.vault.lifecycle`:
this file reads the item, takes a step, and writes the result only if nobody wrote meanwhile. A tombstone is carried on
by every step and a stale writer's condition fails, so no late write can bring a wrap back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chatapi.aws import AwsError
from chatapi.aws.av import from_item, to_item
from chatapi.vault import lifecycle
from chatapi.vault.errors import Conflict, KeyUnavailable
from chatapi.vault.ports import State, Tombstone, VaultItem, WrapPage

if TYPE_CHECKING:
    from chatapi.aws.av import Value
    from chatapi.aws.calling import Caller

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RACES = 4
_PAGE = 100


class DynamoWraps:
    """The Vault table `table` behind `client`, a client of `dynamodb`."""

    def __init__(self, client: Caller, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, project: str, subject: str) -> VaultItem | None:
        """See `WrapStore`. ValueError for an id with other characters than letters, digits, `_` and `-`."""
        item = self._call("GetItem", Key=to_item({"pk": _pk(project, subject)}), ConsistentRead=True).get("Item")
        return None if item is None else _read(project, subject, item)

    def create(
        self,
        project: str,
        subject: str,
        generation: int,
        wrapped: bytes,
        key_arn: str,
        *,
        now: float,
        tenant_key: bool = False,
    ) -> VaultItem:
        """See `WrapStore`."""
        before = self.get(project, subject) if generation > 1 else None
        opened = lifecycle.new(project, subject, generation, wrapped, key_arn, now=now, tenant_key=tenant_key)
        after = lifecycle.created(before, opened)
        self._write(before, after)
        return after

    def rekey(self, before: VaultItem, after: VaultItem) -> None:
        """See `WrapStore`."""
        self._write(before, after)

    def page(self, after: str | None = None, segment: tuple[int, int] = (0, 1)) -> WrapPage:
        """See `WrapPages`: a page of a consistent scan, at most 100 items."""
        number, total = segment
        part = {"Segment": number, "TotalSegments": total} if total > 1 else {}
        start = {"ExclusiveStartKey": to_item({"pk": after})} if after else {}
        found = self._call("Scan", ConsistentRead=True, Limit=_PAGE, **start, **part)
        page = WrapPage([], [], str(last["pk"]["S"]) if (last := found.get("LastEvaluatedKey")) else None)
        for wire in found.get("Items", ()):
            _, project, subject = (*str(wire["pk"]["S"]).split("#"), "", "")[:3]
            try:
                page.items.append(_read(project, subject, wire))
            except KeyUnavailable:
                page.unreadable.append((project, subject))
        return page

    def freeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.frozen(item, generation, case_id))

    def unfreeze(self, project: str, subject: str, generation: int, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.unfrozen(item, generation, case_id))

    def restrict(self, project: str, subject: str, generation: int, case_id: str | None) -> VaultItem:
        """See `WrapStore`."""
        return self._step(project, subject, lambda item: lifecycle.restricted(item, generation, case_id))

    def destroy(self, project: str, subject: str, generation: int, now: float, case_id: str) -> VaultItem:
        """See `WrapStore`."""
        item = self._step(project, subject, lambda item: lifecycle.destroyed(item, generation, now, case_id))
        return lifecycle.as_closed(item, generation)

    def _step(self, project: str, subject: str, step: Callable[[VaultItem | None], VaultItem]) -> VaultItem:
        """Read, step, write; again where another write came between, since the step may be idempotent."""
        for _ in range(_RACES):
            before = self.get(project, subject)
            after = step(before)
            if after is before:
                return after
            try:
                self._write(before, after)
            except Conflict:
                continue
            return after
        raise Conflict

    def _write(self, before: VaultItem | None, after: VaultItem) -> None:
        if before is None:
            self._call("PutItem", Item=to_item(_values(after)), ConditionExpression="attribute_not_exists(pk)")
            return
        self._call(
            "PutItem",
            Item=to_item(_values(after)),
            ConditionExpression="rev = :rev AND g = :g AND st = :st",
            ExpressionAttributeValues=to_item({":rev": before.revision, ":g": before.generation, ":st": before.state}),
        )

    def _call(self, operation: str, **payload: Any) -> dict[str, Any]:
        try:
            return self._client.call(operation, {"TableName": self._table, **payload})
        except AwsError as error:
            lost = error.code == "ConditionalCheckFailedException"
        # Outside the handler: a cause or context of the exception would go into logs.
        raise Conflict if lost else KeyUnavailable


def _pk(project: str, subject: str) -> str:
    if not (_ID.fullmatch(project) and _ID.fullmatch(subject)):
        raise ValueError("a project or subject id is not of the form [A-Za-z0-9_-]{1,128}")
    return f"v#{project}#{subject}"


def _values(item: VaultItem) -> dict[str, Value]:
    values: dict[str, Value] = {
        "pk": _pk(item.project, item.subject),
        "g": item.generation,
        "rev": item.revision,
        "st": item.state.value,
        "kv": item.keyver,
        "w": {str(keyver): wrapped for keyver, wrapped in item.wraps.items()},
        "arn": item.key_arn,
        "at": item.created_at,
        "ts": {str(generation): _tombstone_values(stone) for generation, stone in item.tombstones.items()},
    }
    if item.frozen_by is not None:
        values["fz"] = item.frozen_by
    if item.tenant_key:
        values["tk"] = True
    if item.restricted is not None:
        values["rs"] = item.restricted
    return values


def _tombstone_values(stone: Tombstone) -> dict[str, Value]:
    hashes: dict[str, Value] = {str(keyver): digest for keyver, digest in stone.wrap_sha256.items()}
    return {"at": stone.erased_at, "case": stone.case_id, "arn": stone.key_arn, "sha": hashes}


def _read(project: str, subject: str, wire: Mapping[str, Any]) -> VaultItem:
    """KeyUnavailable where the item is not one that this file wrote: it fails closed and tells nothing of it."""
    try:
        item = from_item(wire)
        return VaultItem(
            project,
            subject,
            int(item["g"]),
            State(item["st"]),
            int(item["kv"]),
            {int(keyver): bytes(wrapped) for keyver, wrapped in item["w"].items()},
            item["arn"],
            int(item["at"]),
            {
                int(generation): Tombstone(
                    stone["at"], stone["case"], stone["arn"], {int(k): digest for k, digest in stone["sha"].items()}
                )
                for generation, stone in item["ts"].items()
            },
            item.get("fz"),
            int(item["rev"]),
            bool(item.get("tk", False)),
            item.get("rs"),
        )
    except (KeyError, ValueError, AttributeError, TypeError):
        pass
    raise KeyUnavailable
