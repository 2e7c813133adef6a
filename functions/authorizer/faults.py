"""When the store does not answer: nobody gets in, unless the operator chose otherwise (docs/limits.md).

The other choice is narrow. In are only chats and the list of models, for keys that the store itself let in through this
very warm function within the last five minutes, with all of their restrictions as they were then, a few a second,
unstored, and for no optional purpose (the kept item has no flag of one). Out is everything that has to be counted or
cannot be read: keys the function has not seen, keys with limits of their own, projects with a limit of spend or of end
users, and every other route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapi.limits.windows import NO_LIMIT
from chatapi.logs import log
from chatapi.verdict import Verdict

MEMORY = 300.0
"""For how many seconds after the store's own word a key may be admitted without it."""
PER_SECOND = 5
CAPACITY = 256
_KEPT = ("region", "smo", "urpm", "utpm", "red", "guard")


class WithoutStore:
    """What one warm function may do while the store is down."""

    def __init__(self, *, chosen: bool, capacity: int = CAPACITY) -> None:
        self._chosen = chosen
        self._capacity = capacity
        self._known: dict[bytes, tuple[float, dict[str, Any]]] = {}
        self._second, self._admitted = 0, 0

    def remember(self, key_hash: bytes, kid: str, item: Mapping[str, Any], now: float) -> None:
        """The store has let this key in at `now`."""
        if not self._chosen:
            return
        known = self._known
        known.pop(key_hash, None)
        while len(known) >= self._capacity:
            del known[next(iter(known))]
        kept = {name: item[name] for name in _KEPT if name in item}
        known[key_hash] = now, {**kept, "k": item["k_" + kid]}

    def forget(self, key_hash: bytes) -> None:
        """The store has refused this key: revoked, expired, or of a suspended project."""
        self._known.pop(key_hash, None)

    def admit(
        self, key_hash: bytes, project: str, kid: str, scope: str, now: float
    ) -> tuple[Verdict, dict[str, Any]] | None:
        """A verdict without a reservation and without storing, and the key it is for; None: closed. Logged, so that a
        metric counts it."""
        seen, item = self._known.get(key_hash, (-MEMORY, {}))
        key = item.get("k", {})
        if not 0 <= now - seen < MEMORY or key["e"] <= now or scope != "chat" or scope not in key["s"]:
            return None
        if "l" in key or item.get("smo", NO_LIMIT) < NO_LIMIT or item.get("urpm") or item.get("utpm"):
            return None
        if int(now) != self._second:
            self._second, self._admitted = int(now), 0
        if self._admitted >= PER_SECOND:
            return None
        self._admitted += 1
        log("store_open", level="error", function="authorizer", project=project, count=self._admitted)
        verdict = Verdict(
            project,
            kid,
            scopes=frozenset(key["s"]),
            retention="none",
            region=item.get("region", ""),
            guardrail=item.get("guard", ""),
            redact=item.get("red", ""),
        )
        return verdict, key
