"""Admission: one conditional UpdateItem authenticates a key and applies every limit together.

    authorizer ──UpdateItem(condition: key ∧ scope ∧ state ∧ every counter ∧ slots)──▶ item
        ok      → the counters are debited, a slot is taken, ALL_NEW says what remains
        refused → nothing changed; ALL_OLD says why, in the order: key, scope, state, quota, minutes, slots

Source: Amazon DynamoDB Developer Guide, "Condition expressions" and "Update expressions"; explained in docs/limits.md.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from chatapi.limits import windows as w

MAX_HOLD = 60.0
"""The longest that a refusal may be remembered, in seconds."""
_REFUND_HOLD = 2.0
_DAY = 86_400


class Debit(NamedTuple):
    """What a request takes: 'chat' takes a request, tokens, micro-USD and a slot, 'read' one request, 'rights' its own
    bucket. `times`: for so many requests alike at once (a lease)."""

    kind: str
    tokens: int = 0
    spend: int = 0
    times: int = 1


class Shape(NamedTuple):
    """Which of the optional limits there are. The update is written for them and admits nothing where it is mistaken.

    `own`: the names of the limits that the key itself has. `slots`: chats at the same time are limited. `lease`: how
    many requests may be debited at once. `spend`: the item has a limit of it, if only one that nobody reaches. (A
    counter cannot begin from an attribute that is absent, and older items have none.)
    """

    own: tuple[str, ...] = ()
    slots: bool = True
    lease: int = 1
    spend: bool = True


USUAL = Shape()
"""What a function that has not seen a key yet assumes of it."""


def shape_of(item: Mapping[str, Any], kid: str) -> Shape:
    """The shape of a project's item for one of its keys. Leases are for projects without a cap of chats alone."""
    slots = item.get("conc", 0) != 0
    own = tuple(sorted((item.get("k_" + kid) or {}).get("l", ())))
    return Shape(own, slots, 1 if slots else max(1, int(item.get("lease", 1))), "smo" in item)


class Refusal(NamedTuple):
    """Why a request was refused. `retry_after` in seconds; `final`: waiting does not help; `hold`: for how many seconds
    the same request would be refused again, unless an operator steps in, and so need not be tried; 0 where unknown."""

    reason: str  # key | scope | suspended | concurrency | requests | tokens | quota
    retry_after: float = 0.0
    final: bool = False
    hold: float = 0.0


class Plan(NamedTuple):
    """An admission about to be tried: the request to DynamoDB and what settling it will need."""

    update: dict[str, Any]
    counters: tuple[tuple[w.Window, int], ...]
    slot: bytes
    scope: str


def new_slot(deadline: float) -> bytes:
    """A slot id of 12 bytes: the deadline (POSIX seconds, big-endian) and 8 random bytes. It heals by its age."""
    return struct.pack(">I", int(deadline)) + os.urandom(8)


def dead_slots(slots: Sequence[bytes], now: float) -> frozenset[bytes]:
    """The slots whose deadline has passed: their function was killed before it could settle."""
    return frozenset(slot for slot in slots if struct.unpack(">I", slot[:4])[0] < now)


def counters_of(debit: Debit, now: float, kid: str = "", shape: Shape = USUAL) -> tuple[tuple[w.Window, int], ...]:
    """The windows a debit touches, each with the amount: the project's, and the key's where it has such limits."""
    if debit.kind == "rights":
        return tuple((window, debit.times) for window in w.rights_per_minute(now))
    requests, tokens, spend = debit.times, debit.tokens * debit.times, debit.spend * debit.times
    per_minute = [(window, requests) for window in w.requests_per_minute(now)]
    counters = [*per_minute, (w.requests_per_day(now), requests)]
    mine = per_minute if "rpm" in shape.own else []
    if debit.kind == "chat":
        of_tokens = [(window, tokens) for window in w.tokens_per_minute(now)]
        of_spend = [(w.spend_per_month(now), spend)]
        counters += [*of_tokens, (w.tokens_per_month(now), tokens), *(of_spend if shape.spend else ())]
        mine = [*mine, *(of_tokens if "tpm" in shape.own else ()), *(of_spend if "smo" in shape.own else ())]
    return (*counters, *((window.of_key(kid), amount) for window, amount in mine))


_AMOUNTS = {"rpm": ":one", "rpd": ":one", "prm": ":one", "tpm": ":est", "tpmo": ":est", "smo": ":usd"}


def plan(
    table: str,
    project: str,
    kid: str,
    key_hash: bytes,
    scope: str,
    debit: Debit,
    now: float,
    slot_deadline: float,
    stale: Sequence[str] = (),
    shape: Shape = USUAL,
    dead: frozenset[bytes] = frozenset(),
) -> Plan:
    """The one conditional update. `scope` is what the key must have; `stale` are expired windows seen in an earlier
    answer, and `dead` slots alike; removed in passing. Where `shape` is mistaken the condition fails."""
    from chatapi.aws.av import to_av

    counters = counters_of(debit, now, kid, shape)
    names = {"#k": "k_" + kid, "#h": "h", "#e": "e", "#s": "s", "#u": "u", "#l": "l"}
    values: dict[str, Any] = {
        ":kh": to_av(key_hash),
        ":now": to_av(int(now)),
        ":day": to_av(int(now) // _DAY),
        ":scope": to_av(scope),
    }
    for index, (window, amount) in enumerate(counters):
        names[f"#b{index}"] = window.name
        values[_AMOUNTS[window.limit]] = to_av(amount)
    touched = {window.name for window, _ in counters}
    gone = [name for name in stale if name not in touched]
    for index, name in enumerate(gone):
        names[f"#x{index}"] = name
    slot = b""
    if debit.kind != "rights":
        values[":A"] = to_av("A")
    if debit.kind == "chat" and shape.slots:
        slot = new_slot(slot_deadline)
        values |= {":rid": to_av(frozenset({slot})), ":slot": to_av(slot), ":none": to_av(0)}
    elif debit.kind == "chat" or debit.times > 1:
        values[":none"] = to_av(0)
        if dead:
            values[":dead"] = to_av(dead)
    limits = tuple([(window.limit, window.key != "") for window, _ in counters])
    expression, condition = _words(debit.kind, limits, shape, debit.times > 1, ":dead" in values, len(gone))
    update = {
        "TableName": table,
        "Key": {"pk": to_av(project_key(project))},
        "UpdateExpression": expression,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return Plan(update, counters, slot, scope)


@lru_cache(maxsize=256)
def _words(
    kind: str, limits: tuple[tuple[str, bool], ...], shape: Shape, several: bool, dead: bool, gone: int
) -> tuple[str, str]:
    """What the update does and its condition: the same for all requests of a kind and shape, so they are made once.
    `limits` are those of the counters, each with whether it is the key's own; `gone` counters are removed."""
    sets = ["#k.#u = :day"]
    conditions = ["#k.#h = :kh", "#k.#e > :now", "contains(#k.#s, :scope)"]
    for index, (attribute, own) in enumerate(limits):
        name, value = f"#b{index}", _AMOUNTS[attribute]
        limit = f"#k.#l.{attribute}" if own else attribute
        sets.append(f"{name} = if_not_exists({name}, {limit}) - {value}")
        conditions.append(f"({name} >= {value} OR (attribute_not_exists({name}) AND {limit} >= {value}))")
    if kind == "chat" and not shape.spend:
        conditions.append("attribute_not_exists(smo)")
    conditions.append("attribute_exists(#k.#l)" if shape.own else "attribute_not_exists(#k.#l)")
    expression = "SET " + ", ".join(sets)
    if kind != "rights":
        conditions.append("st = :A")
    if kind == "chat" and shape.slots:
        expression += " ADD inf :rid"
        conditions.append("(attribute_not_exists(inf) OR size(inf) < conc OR conc = :none)")
        # Sent again because its answer was lost, the update finds its own slot and debits nothing twice.
        conditions.append("NOT contains(inf, :slot)")
    elif kind == "chat" or several:
        conditions.append("conc = :none")
        expression += " DELETE inf :dead" if dead else ""
    if gone:
        expression += " REMOVE " + ", ".join(f"#x{index}" for index in range(gone))
    return expression, " AND ".join(conditions)


def project_key(project: str) -> str:
    """The partition key of a project's item."""
    return "p#" + project


def explain(item: Mapping[str, Any] | None, kid: str, key_hash: bytes, attempt: Plan, now: float) -> Refusal:
    """Why DynamoDB refused, from the item as it stood (ALL_OLD). The key is judged before limits are told."""
    key = (item or {}).get("k_" + kid)
    if item is None or not key or key["e"] <= now:
        return Refusal("key")  # may come, come back or be prolonged: never remembered
    if not hmac.compare_digest(key["h"], key_hash):
        return Refusal("key", hold=MAX_HOLD)
    if attempt.scope not in key["s"]:
        return Refusal("scope", final=True)
    if ":A" in attempt.update["ExpressionAttributeValues"] and item.get("st") != "A":
        return Refusal("suspended", final=True)
    return _short(item, attempt)


def _short(item: Mapping[str, Any], attempt: Plan) -> Refusal:
    """Which limit a key that may pass has met: quota before minutes, and where no counter is short, slots."""
    short = [(window, amount) for window, amount in attempt.counters if _left(item, window) < amount]
    quota = [window for window, _ in short if window.limit in ("rpd", "tpmo", "smo")]
    if quota:
        return Refusal("quota", min(60.0, quota[0].remaining), final=True, hold=_hold(quota, item))
    if short:
        # A single request above the whole limit can never pass: say so instead of letting the client wait for ever.
        final = any(amount > w.limit_of(item, window) for window, amount in short)
        reason = "tokens" if short[0][0].limit == "tpm" else "requests"
        windows = [window for window, _ in short]
        lasting = [window for window in windows if window.limit == short[0][0].limit]
        return Refusal(reason, max(window.remaining for window in windows), final, _hold(lasting, item))
    return Refusal("concurrency", 1.0)


def _hold(windows: Sequence[w.Window], item: Mapping[str, Any]) -> float:
    """How long counters of one kind stay short: until their windows end, since nothing gives requests back.

    A chat under way may give tokens and money back when it settles, so meanwhile a refusal for those is good for two
    seconds; a chat admitted later gives back no more than it took. Without slots nobody knows what is under way."""
    lasting = max(window.remaining for window in windows)
    under_way = item.get("inf") or item.get("conc") == 0
    refundable = under_way and all(window.limit in ("tpm", "tpmo", "smo") for window in windows)
    return min(MAX_HOLD, lasting, _REFUND_HOLD if refundable else MAX_HOLD)


def _left(item: Mapping[str, Any], window: w.Window) -> int:
    return int(item.get(window.name, w.limit_of(item, window)))


def how_many(item: Mapping[str, Any], attempt: Plan, count: int) -> int:
    """How many of the `count` requests of a refused lease would still fit, by the item as it stood."""
    return min((_left(item, window) // (amount // count) for window, amount in attempt.counters if amount), default=0)


def heal(table: str, project: str, dead: frozenset[bytes]) -> dict[str, Any]:
    """The update that takes dead slots out of a project's set."""
    from chatapi.aws.av import to_av

    return {
        "TableName": table,
        "Key": {"pk": to_av(project_key(project))},
        "UpdateExpression": "DELETE inf :dead",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {":dead": to_av(dead)},
    }


def ratelimit_headers(item: Mapping[str, Any], now: float, kid: str = "") -> dict[str, str]:
    """OpenAI's `x-ratelimit-*` headers from a project's item: integers, and durations such as `12ms` or `6m0s`. Where
    the key has a limit of its own, the one of the two that has less left is told."""
    out = {}
    own = (item.get("k_" + kid) or {}).get("l", ())
    for what, pair in (("requests", w.requests_per_minute(now)), ("tokens", w.tokens_per_minute(now))):
        told = _told(item, pair)
        if pair[0].limit in own:
            told = min(told, _told(item, [window.of_key(kid) for window in pair]))
        left, limit, reset = told
        out[f"x-ratelimit-limit-{what}"] = str(limit)
        out[f"x-ratelimit-remaining-{what}"] = str(max(0, left))
        out[f"x-ratelimit-reset-{what}"] = w.duration(reset)
    return out


def _told(item: Mapping[str, Any], pair: Sequence[w.Window]) -> tuple[int, int, float]:
    limit = w.limit_of(item, pair[0])
    left = [int(item.get(window.name, limit)) for window in pair]
    used = [window.remaining for window, rest in zip(pair, left, strict=True) if rest < limit]
    return min(left), limit, max(used, default=0.0)
