"""Settlement: after a chat, one update puts the difference between what was reserved and what was used back, and frees
the slot.

With a slot it settles once: the condition wants the slot still in the set, so a repeated or duplicated settle changes
nothing. A slot that was already healed (its function outlived its deadline) keeps its reservation debited, the safe
side.

Without a slot (projects without a cap of chats at the same time) nothing in the item tells a first settle from a
second one, so it must be sent at most once: by a client that never repeats a request (`AwsClient(once=True)`). One
whose answer is lost may have happened or not; if not, the reservation stays debited, the safe side again
(docs/limits.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapi.aws.av import to_av
from chatapi.limits.admission import project_key


def settle(table: str, project: str, slot: bytes, deltas: Mapping[str, int]) -> dict[str, Any]:
    """The settling update. `deltas`: counter → used − reserved: negative gives back, positive debits further."""
    update = _debit(table, project, slot, deltas)
    if slot:
        update["UpdateExpression"] += " DELETE inf :rid"
        update["ExpressionAttributeValues"][":rid"] = to_av(frozenset({slot}))
    return update


def top_up(table: str, project: str, slot: bytes, deltas: Mapping[str, int]) -> dict[str, Any]:
    """The update that reserves more for a request whose `max_tokens` exceeds what the authorizer reserved. Refused, it
    brings the item as it stands."""
    update = _debit(table, project, slot, deltas)
    places = _places(deltas)
    for index, amount in enumerate(deltas.values()):
        update["ConditionExpression"] += f" AND #t{index} >= {places[amount]}"
    update["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return update


def _debit(table: str, project: str, slot: bytes, deltas: Mapping[str, int]) -> dict[str, Any]:
    places = _places(deltas)
    values: dict[str, Any] = {":z": to_av(0), **{place: to_av(amount) for amount, place in places.items()}}
    update: dict[str, Any] = {
        "TableName": table,
        "Key": {"pk": to_av(project_key(project))},
        "ConditionExpression": "contains(inf, :slot)" if slot else "attribute_exists(pk)",
        "ExpressionAttributeNames": {f"#t{index}": name for index, name in enumerate(deltas)},
        "ExpressionAttributeValues": values,
    }
    if slot:
        values[":slot"] = to_av(slot)
    update["UpdateExpression"] = "SET " + ", ".join(
        f"#t{index} = if_not_exists(#t{index}, :z) - {places[amount]}" for index, amount in enumerate(deltas.values())
    )
    return update


def _places(deltas: Mapping[str, int]) -> dict[int, str]:
    """The placeholders of the amounts; equal ones share one."""
    return {amount: f":d{index}" for index, amount in enumerate(dict.fromkeys(deltas.values()))}
