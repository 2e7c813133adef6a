"""An end user's own limits (docs/limits.md): one conditional update before the chat, one settle after it.

Only in projects that have such limits, and for chats that name an end user. The item is the data subject's: it names
nobody, ends by its TTL, and an erasure takes it along. Its slots are only what makes a settle count once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatapi.aws.av import from_item, to_av
from chatapi.aws.errors import AwsError
from chatapi.catalogue import expiry
from chatapi.errors import RateLimited
from chatapi.limits import windows as w
from chatapi.limits.admission import dead_slots, new_slot
from chatapi.logs import log_error
from chatapi.store.keys import ALLOWANCE, UNDATED, subject_pk

if TYPE_CHECKING:
    from chatapi.aws.calling import Caller

SLOT_SECONDS = 905


class Allowance:
    """What one end user may use, for one chat: `rpm` and `tpm` are the project's limits for each, 0 for none."""

    def __init__(self, store: Caller, table: str, project: str, subject: str, rpm: int, tpm: int) -> None:
        self._store = store
        self._target = {
            "TableName": table,
            "Key": {"pk": to_av(subject_pk(project, subject, UNDATED)), "sk": to_av(ALLOWANCE)},
        }
        self._project, self._rpm, self._tpm = project, rpm, tpm
        self._slot = b""
        self._windows: tuple[str, ...] = ()
        self._stale: tuple[str, ...] = ()
        self._dead: frozenset[bytes] = frozenset()
        self._reserved = 0

    def debit(self, tokens: int, now: float) -> dict[str, str]:
        """Take a request and reserve tokens, or raise RateLimited, which takes nothing. The `x-ratelimit-*` of this
        user, to be told where they are tighter than the project's."""
        if self._tpm and tokens > self._tpm:
            raise RateLimited(
                "This request alone is above the tokens per minute of an end user.",
                headers={"x-should-retry": "false"},
            )
        requests = w.requests_per_minute(now) if self._rpm else ()
        spent = w.tokens_per_minute(now) if self._tpm else ()
        counters = [*((window, ":rpm", ":one") for window in requests), *((window, ":tpm", ":est") for window in spent)]
        amounts = {":one": 1, ":est": tokens, ":rpm": self._rpm, ":tpm": self._tpm}
        used = {placeholder for _, limit, amount in counters for placeholder in (limit, amount)}
        names = {"#kind": "kind", "#since": "since", "#ttl": "ttl"}
        names |= {f"#b{index}": window.name for index, (window, _, _) in enumerate(counters)}
        values: dict[str, Any] = {name: amount for name, amount in amounts.items() if name in used}
        values |= {":kind": "allowance", ":now": int(now), ":ttl": expiry("allowance", now)}
        sets = ["#kind = :kind", "#ttl = :ttl", "#since = if_not_exists(#since, :now)"]
        sets += [f"#b{i} = if_not_exists(#b{i}, {limit}) - {amount}" for i, (_, limit, amount) in enumerate(counters)]
        room = [f"(attribute_not_exists(#b{i}) OR #b{i} >= {amount})" for i, (_, _, amount) in enumerate(counters)]
        expression = "SET " + ", ".join(sets)
        if spent:
            self._slot = new_slot(now + SLOT_SECONDS)
            values[":rid"] = frozenset({self._slot})
            expression += " ADD inf :rid"
        update = {
            **self._target,
            "UpdateExpression": expression,
            "ConditionExpression": " AND ".join(room),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {name: to_av(value) for name, value in values.items()},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            item = from_item(self._store.call("UpdateItem", update)["Attributes"])
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            item = from_item(error.item or {})
        else:
            self._windows, self._reserved = tuple(window.name for window in spent), tokens if spent else 0
            self._stale = tuple(w.all_expired(item, now))
            self._dead = dead_slots(tuple(item.get("inf", ())), now)
            return self._told(item, requests, spent)
        self._slot = b""
        raise _refusal(
            [window for window, _, amount in counters if item.get(window.name, amounts[amount]) < amounts[amount]]
        )

    def _told(self, item: dict[str, Any], *pairs: tuple[w.Window, ...]) -> dict[str, str]:
        out = {}
        for what, limit, pair in zip(("requests", "tokens"), (self._rpm, self._tpm), pairs, strict=True):
            if pair:
                out[f"x-ratelimit-limit-{what}"] = str(limit)
                out[f"x-ratelimit-remaining-{what}"] = str(max(0, min(item[window.name] for window in pair)))
                out[f"x-ratelimit-reset-{what}"] = w.duration(max(window.remaining for window in pair))
        return out

    def settle(self, used: int) -> None:
        """Give back or debit the difference, once: the slot must still be there. Takes expired windows and the slots of
        killed functions along. Never raises; a fault is logged for the alarm."""
        if not self._slot:
            return
        names = {f"#t{index}": name for index, name in enumerate(self._windows)}
        expression = "SET " + ", ".join(f"{name} = if_not_exists({name}, :z) - :d" for name in names)
        expression += " DELETE inf :rid"
        stale = {f"#x{index}": name for index, name in enumerate(set(self._stale) - set(self._windows))}
        if stale:
            expression += " REMOVE " + ", ".join(stale)
        values: dict[str, Any] = {
            ":d": used - self._reserved,
            ":z": 0,
            ":rid": frozenset({self._slot}) | self._dead,
            ":slot": self._slot,
        }
        update = {
            **self._target,
            "UpdateExpression": expression,
            "ConditionExpression": "contains(inf, :slot)",
            "ExpressionAttributeNames": {**names, **stale},
            "ExpressionAttributeValues": {name: to_av(value) for name, value in values.items()},
        }
        self._slot = b""
        try:
            self._store.call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":  # erased meanwhile, or settled by a lost attempt
                log_error("settle_failed", error, function="chat", project=self._project, code=error.code)


def _refusal(short: list[w.Window]) -> RateLimited:
    wait = min(60.0, max((window.remaining for window in short), default=1.0))
    what = "tokens" if short and short[0].limit == "tpm" else "requests"
    return RateLimited(
        f"Rate limit reached for {what} per minute of this end user. Try again after retry-after.",
        headers={"retry-after": str(max(1, int(wait + 0.999))), "retry-after-ms": str(int(wait * 1000))},
    )


def tighter(told: dict[str, str], theirs: dict[str, str]) -> dict[str, str]:
    """Of an end user's headers (`told`) those of a kind that has less left than the project's (`theirs`)."""
    out: dict[str, str] = {}
    for what in ("requests", "tokens"):
        name = f"x-ratelimit-remaining-{what}"
        if name in told and int(told[name]) <= int(theirs.get(name, w.NO_LIMIT)):
            out |= {header: value for header, value in told.items() if header.endswith(what)}
    return out
