"""Projects: limits, retention and hashed keys, one item each. The authorizer's update reads what is written here.

The operators' side of it: creating a project and its keys, listing, revoking. Counters are the limiter's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatapi.clock import Clock
from chatapi.ids import project_id, random62
from chatapi.keys import SCOPES, hash_key, mint_key
from chatapi.limits.admission import project_key
from chatapi.store.items import Change, Collision, Item, Table

NEVER = 253_402_300_799
"""The expiry of a key that has none: 9999-12-31, in POSIX seconds."""
MAX_KEYS = 8
_TRIES = 5


class ProjectError(Exception):
    """What an operator asked for is not possible. The text says why; no user's content reaches it."""


@dataclass(frozen=True)
class Limits:
    """What a project may use. Requests and tokens a minute, requests a day, tokens a month, chats at the same time,
    data-rights requests a minute (a bucket of their own)."""

    rpm: int = 60
    tpm: int = 100_000
    rpd: int = 10_000
    tpmo: int = 100_000_000
    conc: int = 10
    prm: int = 60


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key: never the secret."""

    kid: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None


class Projects:
    """The repository. `table` is the catalogued Projects table; `mint` and `pepper` are the deployment's secrets."""

    def __init__(self, table: Table, *, mint: bytes, pepper: bytes, clock: Clock) -> None:
        self._table = table
        self._mint = mint
        self._pepper = pepper
        self._clock = clock

    def create(
        self,
        name: str,
        limits: Limits,
        *,
        retention: str = "none",
        region: str,
        scopes: Sequence[str] = SCOPES[:3],
    ) -> tuple[str, str]:
        """A new project with one key: (project id, key). The key is shown this once and never stored."""
        if retention not in ("none", "history"):
            raise ProjectError("retention is none or history")
        if min(vars(limits).values()) < 1:
            raise ProjectError("every limit is at least 1")
        for _ in range(_TRIES):
            project = project_id()
            key, field = self._new_key(project, "k1", scopes, None)
            item: Item = {
                "pk": project_key(project),
                "kind": "project",
                "name": name,
                "st": "A",
                "created": int(self._clock.now()),
                "ret": retention,
                "region": region,
                "k_k1": field,
                **vars(limits),
            }
            try:
                self._table.put(item, absent=True)
            except Collision:
                continue
            return project, key
        raise ProjectError("no free project id was found")

    def keys(self, project: str) -> list[KeyInfo]:
        """The keys of a project, oldest first."""
        return [
            KeyInfo(name[2:], tuple(field["s"]), field["c"], None if field["e"] == NEVER else field["e"])
            for name, field in sorted(self._item(project).items(), key=lambda pair: str(pair[0]))
            if name.startswith("k_")
        ]

    def add_key(self, project: str, scopes: Sequence[str], expires: int | None = None) -> str:
        """A further key, counters shared: rotation overlaps without doubling the quota. At most 8 live keys."""
        if len(self.keys(project)) >= MAX_KEYS:
            raise ProjectError("a project has at most 8 keys; revoke one first")
        for _ in range(_TRIES):
            kid = random62(2)
            key, field = self._new_key(project, kid, scopes, expires)
            change = Change(put={"k_" + kid: field}, expect={"k_" + kid: None, "kind": "project"})
            try:
                self._table.update(project_key(project), None, change)
            except Collision:
                continue
            return key
        raise ProjectError("no free key id was found")

    def revoke(self, project: str, kid: str) -> None:
        """End a key: the next request with it is refused, since every request reads the item."""
        if "k_" + kid not in self._item(project):
            raise ProjectError("no such key")
        change = Change(drop=["k_" + kid], expect={"kind": "project"})
        self._table.update(project_key(project), None, change)

    def _new_key(
        self, project: str, kid: str, scopes: Sequence[str], expires: int | None
    ) -> tuple[str, dict[str, Any]]:
        if not scopes or not set(scopes) <= set(SCOPES):
            raise ProjectError("scopes are " + ", ".join(SCOPES))
        key = mint_key(self._mint, project, kid)
        field = {
            "h": hash_key(self._pepper, key),
            "e": expires or NEVER,
            "s": list(scopes),
            "c": int(self._clock.now()),
        }
        return key, field

    def _item(self, project: str) -> Item:
        item = self._table.get(project_key(project))
        if item is None:
            raise ProjectError("no such project")
        return item
