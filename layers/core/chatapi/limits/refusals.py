"""Refusals remembered: a client that goes on asking is told no from memory, until the window that refused it ends.

A memory is one warm function's own, bounded, and never longer than `MAX_HOLD`. It refuses only what the store has just
refused, so it can admit nothing. Not remembered: refusals for concurrency (a slot may come free at any time), and keys
that are missing or expired (such a key may be made or prolonged).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chatapi.limits.admission import Debit, Refusal
from chatapi.limits.windows import is_window

CAPACITY = 1024
_TOLD = frozenset({"rpm", "tpm"})


class _Remembered(NamedTuple):
    refusal: Refusal
    at: float
    tokens: int
    item: Mapping[str, Any]


class Refusals:
    """By key hash, scope and kind of debit: the oldest makes room for the newest."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: dict[tuple[bytes, str, str], _Remembered] = {}

    def remember(
        self, key_hash: bytes, scope: str, debit: Debit, refusal: Refusal, item: Mapping[str, Any], now: float
    ) -> None:
        """Keep a refusal for as long as it holds, with what is told of the item: its limits and counters."""
        if refusal.hold <= 0:
            return
        known = self._known
        known.pop((key_hash, scope, debit.kind), None)
        while len(known) >= self._capacity:
            del known[next(iter(known))]
        told = {name: value for name, value in item.items() if name in _TOLD or is_window(name)}
        told |= {name: {"l": key["l"]} for name, key in item.items() if name.startswith("k_") and "l" in key}
        tokens = debit.tokens if refusal.reason in ("tokens", "quota") else 0
        known[key_hash, scope, debit.kind] = _Remembered(refusal, now, tokens, told)

    def recall(self, key_hash: bytes, scope: str, debit: Debit, now: float) -> tuple[Refusal, Mapping[str, Any]] | None:
        """The refusal that still holds for a request at least as large, its wait counted from `now`, and the item."""
        found = self._known.get((key_hash, scope, debit.kind))
        if found is None or debit.tokens < found.tokens:
            return None
        age = now - found.at
        if not 0 <= age < found.refusal.hold:  # over; or the clock was set back
            del self._known[key_hash, scope, debit.kind]
            return None
        return found.refusal._replace(retry_after=found.refusal.retry_after - age), found.item
