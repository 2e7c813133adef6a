"""A client of AWS in front of which things go wrong as they do between the calls of a real function.

MiniStack and moto never answer with a transaction conflict and process every batch whole, so both are made here, before
the call leaves: a conflict means that nothing happened, an unprocessed item that it alone did not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from chatapi.aws.errors import AwsError

WRITES = ("PutItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems")


class Caller(Protocol):
    """What is needed of a client."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class Killed(BaseException):
    """The function is gone: no further call leaves it, those of its own handlers neither."""


class Unsteady:
    """`inner`, with conflicts in `percent` of the writes, half of a batch left unprocessed as often, a death before or
    after the `dies`-th call (0: never), and `wait` called before the `waits`-th one. `seen` counts what was made."""

    def __init__(
        self,
        inner: Caller,
        random: Random,
        *,
        percent: int = 5,
        dies: int = 0,
        after: bool = False,
        waits: int = 0,
        wait: Callable[[], object] = lambda: None,
    ) -> None:
        self._inner, self._random, self._percent = inner, random, percent
        self._dies, self._after, self._waits, self._wait = dies, after, waits, wait
        self.calls, self.dead, self.seen = 0, False, Counter[str]()

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call, or what goes wrong with it."""
        if self.dead:
            raise Killed
        self.calls += 1
        if self.calls == self._waits:
            self._wait()
        last = self.calls == self._dies
        if last and not self._after:
            self._die()
        answer = self._answer(operation, payload)
        if last:
            self._die()
        return answer

    @property
    def waiting(self) -> bool:
        """Whether `wait` is still to be called."""
        return self.calls < self._waits

    def calm(self) -> None:
        """Nothing goes wrong from here on."""
        self._percent = self._dies = self._waits = 0

    def _die(self) -> None:
        self.dead = True
        self.seen["killed"] += 1
        raise Killed

    def _answer(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        if operation not in WRITES or self._random.randrange(100) >= self._percent:
            return self._inner.call(operation, payload)
        if operation == "BatchWriteItem":
            ((table, writes),) = payload["RequestItems"].items()
            half = len(writes) // 2
            self.seen["unprocessed"] += 1
            if half:
                self._inner.call(operation, {"RequestItems": {table: writes[:half]}})
            return {"UnprocessedItems": {table: writes[half:]}}
        self.seen["conflict"] += 1
        if operation == "TransactWriteItems":
            raise AwsError("TransactionCanceledException", 400, reasons=("None", "TransactionConflict"))
        raise AwsError("TransactionConflictException", 400)
