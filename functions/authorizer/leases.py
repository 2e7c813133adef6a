"""Leases: several requests debited by one update, for projects that do not cap the chats at the same time.

A warm function keeps what it has debited in advance and hands it out without a call. It debits in advance only what it
has reason to expect: a lease that was used up is followed by one twice as large, one that ran out by a single request.
A lease lives for a second at most, by both clocks (a function may be frozen, and a clock may be set), and ends with
the first of its windows. So what it admits was debited in the window in which it is admitted, never above a limit, and
a key that is revoked is refused within a second. What is left of it then is lost to the caller: the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatapi.clock import Clock
from chatapi.limits.admission import Debit, Plan

LIFE = 1.0
CAPACITY = 256


@dataclass
class _Lease:
    debit: Debit  # of each request
    attempt: Plan
    item: Mapping[str, Any]
    left: int
    at: float
    ends: float
    began: float  # by the monotonic clock


class Leases:
    """By key hash, scope and kind of debit; bounded, the oldest makes room for the newest."""

    def __init__(self, clock: Clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._known: dict[tuple[bytes, str, str], _Lease] = {}

    def take(
        self, key_hash: bytes, scope: str, debit: Debit, now: float
    ) -> tuple[Plan, Mapping[str, Any], Debit] | None:
        """One request of a live lease: the plan and item it was debited with, and its share. None where there is none,
        or the request is larger than the share."""
        lease = self._known.get((key_hash, scope, debit.kind))
        if lease is None or lease.left < 1 or not self._lives(lease, now):
            return None
        if debit.tokens > lease.debit.tokens or debit.spend > lease.debit.spend:
            return None
        lease.left -= 1
        return lease.attempt, lease.item, lease.debit

    def size(self, key_hash: bytes, scope: str, debit: Debit, most: int) -> int:
        """How many requests to debit next, at most `most`: twice the lease that was used up in its life, else one."""
        lease = self._known.get((key_hash, scope, debit.kind))
        if most < 2 or lease is None or lease.left or not self._lives(lease, self._clock.now()):
            return 1
        return min(most, 2 * lease.debit.times)

    def keep(
        self,
        key_hash: bytes,
        scope: str,
        debit: Debit,
        attempt: Plan,
        item: Mapping[str, Any],
        now: float,
        began: float,
    ) -> None:
        """Remember what was debited at `now`, before the call: the first request of `debit.times` is on its way. A
        debit with a slot is one request and no more."""
        known, name = self._known, (key_hash, scope, debit.kind)
        known.pop(name, None)
        if int(item.get("lease", 1)) < 2:
            return
        while len(known) >= self._capacity:
            del known[next(iter(known))]
        kid = attempt.update["ExpressionAttributeNames"]["#k"]
        ends = min(now + LIFE, item[kid]["e"], *(now + window.remaining for window, _ in attempt.counters))
        known[name] = _Lease(debit, attempt, item, debit.times - 1, now, ends, began)

    def _lives(self, lease: _Lease, now: float) -> bool:
        return lease.at <= now < lease.ends and self._clock.monotonic() - lease.began < LIFE
