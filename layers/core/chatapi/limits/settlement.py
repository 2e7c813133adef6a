"""Settlement: after a chat, one update puts the difference between what was reserved and what was used back, and frees
the slot.

It settles once: the condition wants the slot still in the set, so a repeated or duplicated settle changes nothing.
A slot that was already healed (its function outlived its deadline) keeps its reservation debited, the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatapi.aws.av import to_av
from chatapi.limits.admission import project_key


def settle(table: str, project: str, slot: bytes, token_windows: Sequence[str], delta: int) -> dict[str, Any]:
    """The settling update. `delta` = tokens used − tokens reserved: negative gives back, positive debits further."""
    return {
        "TableName": table,
        "Key": {"pk": to_av(project_key(project))},
        "UpdateExpression": "SET "
        + ", ".join(f"#t{i} = if_not_exists(#t{i}, :z) - :d" for i in range(len(token_windows)))
        + " DELETE inf :rid",
        "ConditionExpression": "contains(inf, :slot)",
        "ExpressionAttributeNames": {f"#t{i}": name for i, name in enumerate(token_windows)},
        "ExpressionAttributeValues": {
            ":d": to_av(delta),
            ":z": to_av(0),
            ":rid": to_av(frozenset({slot})),
            ":slot": to_av(slot),
        },
    }


def top_up(table: str, project: str, slot: bytes, token_windows: Sequence[str], more: int) -> dict[str, Any]:
    """The update that reserves `more` tokens for a request whose `max_tokens` exceeds what the authorizer reserved.
    Refused, it brings the item as it stands."""
    update = settle(table, project, slot, token_windows, more)
    update["UpdateExpression"] = update["UpdateExpression"].removesuffix(" DELETE inf :rid")
    update["ConditionExpression"] += "".join(f" AND #t{i} >= :d" for i in range(len(token_windows)))
    del update["ExpressionAttributeValues"][":rid"]
    update["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return update
