"""Projects: limits, retention and hashed keys, one item each. The authorizer's update reads what is written here.

Creating a project and its keys, listing, rotating, revoking: the operators' command and the self-service of keys do it
here alike (docs/keys.md). Counters are the limiter's alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

from chatapi.clock import Clock
from chatapi.grants import Grant
from chatapi.ids import project_id, random62
from chatapi.keys import SCOPES, hash_key, mint_key
from chatapi.limits.admission import project_key
from chatapi.retention import is_ceiling
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.key_fields import (
    DAY,
    LEAKED,
    KeyInfo,
    demanded,
    forgotten,
    grant_of,
    info_of,
    kept_field,
    shown_keys,
    unused,
)
from chatapi.store.project_errors import KeysChanged, MakerGone, ProjectError, TooManyKeys, TooWide, UnknownKey
from chatapi.store.project_limits import Limits as Limits  # noqa: PLC0414 - its readers find it here

MAX_KEYS = 8
MAX_OVERLAP = 7 * DAY
_TRIES = 5


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
        redact: str = "",
        region: str,
        scopes: Sequence[str] = SCOPES[:3],
    ) -> tuple[str, str]:
        """A new project with one key: (project id, key). The key is shown this once and never stored."""
        if not is_ceiling(retention):
            raise ProjectError("retention is none, history or history:DAYS")
        demand = demanded(redact)
        try:
            kept = limits.checked()
        except ValueError as error:
            raise ProjectError(str(error)) from None
        for _ in range(_TRIES):
            project = project_id()
            key, field = self._new_key(project, "k1", Grant(tuple(scopes)), "")
            item: Item = {
                "pk": project_key(project),
                "kind": "project",
                "name": name,
                "st": "A",
                "created": int(self._clock.now()),
                "ret": retention,
                "region": region,
                "k_k1": field,
                **({"red": demand} if demand else {}),
                **kept,
            }
            try:
                self._table.put(item, absent=True)
            except Collision:
                continue
            return project, key
        raise ProjectError("no free project id was found")

    def keys(self, project: str) -> list[KeyInfo]:
        """The keys of a project, oldest first; expired ones too, until a new key purges them."""
        return shown_keys(self._item(project))

    def add_key(self, project: str, grant: Grant, name: str = "", *, maker: str | None = None) -> tuple[str, KeyInfo]:
        """A further key, counters shared: it does not add to the quota. At most 8 live keys; expired ones are purged.

        `maker`: the id of the key that asks for it, none for an operator. The new key has its restrictions where
        `grant` has none, and TooWide is raised where `grant` goes beyond.
        """
        item = self._open_item(project)
        if maker is not None:
            bound = self._bound(item, maker)
            grant = _no_wider(grant_of(kept_field(grant.within(bound), name)), bound)
        if grant.expires is not None and grant.expires <= self._clock.now():
            raise ProjectError("the key would have expired already")
        kid = self._free_kid(item)
        key, field = self._new_key(project, kid, grant, name)
        self._change(item, {"k_" + kid: field})
        return key, info_of(kid, field)

    def rotate(self, project: str, kid: str, overlap: int = DAY, *, maker: str | None = None) -> tuple[str, KeyInfo]:
        """A new key with the fields of a live one, which ends `overlap` seconds from now, or earlier by itself: one
        update, so that there is no moment with neither and none with two that do not end. `maker` as in `add_key`: a
        key gets no secret for more than it opens itself."""
        if not 0 <= overlap <= MAX_OVERLAP:
            raise ProjectError("the overlap is 0 to 604800 seconds")
        item, now = self._open_item(project), int(self._clock.now())
        old = item.get("k_" + kid)
        if old is None or old["e"] <= now:
            raise UnknownKey
        if maker is not None:
            _no_wider(grant_of(old), self._bound(item, maker))
        fresh = self._free_kid(item)
        key = mint_key(self._mint, project, fresh)
        field = {**unused(old), "h": hash_key(self._pepper, key), "c": now}
        self._change(item, {"k_" + fresh: field, "k_" + kid: {**old, "e": min(old["e"], now + overlap)}})
        return key, info_of(fresh, field)

    def leaked(self, project: str, kid: str, key: str) -> str:
        """End a key that was found in public, if it is `key` itself that lives under that id. `revoked`; `known`, where
        an earlier report ended it; `unknown`, where this project has no such key. What is shown of it stays for 90 days
        and counts against nothing. Nobody can race it: a change that comes between makes it look again."""
        digest, tried = hash_key(self._pepper, key), 0
        for _ in range(_TRIES):
            item = self._table.get(project_key(project)) or {}
            live, dead = item.get("k_" + kid), item.get(LEAKED + kid)
            if dead is not None and hmac.compare_digest(dead["h"], digest):
                # A write whose answer was lost is sent again by the client, and then it collides with itself.
                return "revoked" if dead["lk"] == tried else "known"
            if live is None or not hmac.compare_digest(live["h"], digest):
                return "unknown"
            now, revision = int(self._clock.now()), item.get("kv")
            shown = {name: live[name] for name in ("h", "e", "s", "c", "n", "u") if name in live} | {"lk": now}
            change = Change(
                put={LEAKED + kid: shown, "kv": (revision or 0) + 1},
                drop=["k_" + kid, *forgotten(item, now)],
                expect={"kind": "project", "kv": revision},
            )
            try:
                self._table.update(item["pk"], None, change)
            except Collision:
                tried = now
                continue
            return "revoked"
        raise KeysChanged

    def revoke(self, project: str, kid: str) -> None:
        """End a key: the next request with it is refused, since every request reads the item. Whatever else happens to
        the project's keys meanwhile, it wins: nobody can race a revocation."""
        if "k_" + kid not in self._item(project):
            raise UnknownKey
        change = Change(add={"kv": 1}, drop=["k_" + kid], expect={"kind": "project"})
        self._table.update(project_key(project), None, change)

    def _change(self, item: Item, put: dict[str, Any]) -> None:
        """Write keys as a consequence of what was read in `item`: `kv` counts the changes, so that two at once cannot
        make nine keys or bring back one that was revoked. Expired keys go by the way."""
        keys = {name: field for name, field in {**item, **put}.items() if name.startswith("k_")}
        dead = [name for name, field in keys.items() if field["e"] <= self._clock.now()]
        if len(keys) - len(dead) > MAX_KEYS:
            raise TooManyKeys
        revision = item.get("kv")
        change = Change(
            put={"kv": (revision or 0) + 1, **{name: field for name, field in put.items() if name not in dead}},
            drop=[name for name in dead if name in item],
            expect={"kind": "project", "kv": revision},
        )
        try:
            self._table.update(item["pk"], None, change)
        except Collision as error:
            # A write whose answer was lost is sent again by the client, and then it collides with itself.
            found = error.item or {}
            if any(unused(found.get(name)) != unused(value) for name, value in change.put.items()):
                raise KeysChanged from None

    def _bound(self, item: Item, maker: str) -> Grant:
        field = item.get("k_" + maker)
        if field is None or field["e"] <= self._clock.now():
            raise MakerGone
        return grant_of(field)

    def _free_kid(self, item: Item) -> str:
        while "k_" + (kid := random62(2)) in item or LEAKED + kid in item:
            pass
        return kid

    def _new_key(self, project: str, kid: str, grant: Grant, name: str) -> tuple[str, dict[str, Any]]:
        field = {**kept_field(grant, name), "c": int(self._clock.now())}
        key = mint_key(self._mint, project, kid)
        return key, {"h": hash_key(self._pepper, key), **field}

    def _item(self, project: str) -> Item:
        item = self._table.get(project_key(project))
        if item is None:
            raise ProjectError("no such project")
        return item

    def _open_item(self, project: str) -> Item:
        item = self._item(project)
        if item.get("st") in ("X", "C"):  # store/project_states.py
            raise ProjectError("the project is closed")
        return item


def _no_wider(grant: Grant, bound: Grant) -> Grant:
    wider = grant.wider(bound)
    if wider:
        raise TooWide(wider)
    return grant
