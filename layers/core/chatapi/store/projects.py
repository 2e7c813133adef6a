"""Projects: limits, retention and hashed keys, one item each. The authorizer's update reads what is written here.

Creating a project and its keys, listing, rotating, revoking: the operators' command and the self-service of keys do it
here alike (docs/keys.md). Counters are the limiter's alone.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatapi.clock import Clock
from chatapi.grants import MAX_ENTRIES, Grant, canonical_cidr, is_key_name, is_model_name
from chatapi.ids import project_id, random62
from chatapi.keys import SCOPES, hash_key, mint_key
from chatapi.limits.admission import project_key
from chatapi.limits.windows import NO_LIMIT
from chatapi.redaction import KINDS, demand_of
from chatapi.retention import is_ceiling
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.project_limits import Limits as Limits  # noqa: PLC0414 - its readers find it here

NEVER = 253_402_300_799
"""The expiry of a key that has none: 9999-12-31, in POSIX seconds."""
MAX_KEYS = 8
DAY = 86_400
MAX_OVERLAP = 7 * DAY
_TRIES = 5
_LEAKED = "x_"
_SHOWN_DAYS = 90
_MOST_LEAKED = 8


class ProjectError(Exception):
    """What was asked for is not possible. The text says why; no user's content reaches it."""


class UnknownKey(ProjectError):
    """The project has no such key, or it has expired."""

    def __init__(self) -> None:
        super().__init__("no such key")


class TooManyKeys(ProjectError):
    """There are eight live keys already."""

    def __init__(self) -> None:
        super().__init__("a project has at most 8 live keys; revoke one first")


class MakerGone(ProjectError):
    """The key that asks has expired or was revoked in the meantime."""

    def __init__(self) -> None:
        super().__init__("the key that asks is gone")


class TooWide(ProjectError):
    """The new key would open more than the one that makes it, by this field."""

    def __init__(self, field: str) -> None:
        super().__init__("a key cannot grant more than the key that makes it: " + field)
        self.field = field


class KeysChanged(ProjectError):
    """Somebody else changed the project's keys at the same time; nothing was done. Safe to try again."""

    def __init__(self) -> None:
        super().__init__("the keys were changed by somebody else at the same time; try again")


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key: never the secret. `name` is the developer's own label, `last_used` the UTC day of the
    last request that was let in with it (`YYYY-MM-DD`), None before the first. `revoked`, POSIX seconds, and `reason`
    are there for a key that was found in public: it is dead, and shown for 90 days."""

    kid: str
    created: int
    name: str
    grant: Grant
    last_used: str | None = None
    revoked: int | None = None
    reason: str | None = None


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
        return _shown(self._item(project))

    def add_key(self, project: str, grant: Grant, name: str = "", *, maker: str | None = None) -> tuple[str, KeyInfo]:
        """A further key, counters shared: it does not add to the quota. At most 8 live keys; expired ones are purged.

        `maker`: the id of the key that asks for it, none for an operator. The new key has its restrictions where
        `grant` has none, and TooWide is raised where `grant` goes beyond.
        """
        item = self._open_item(project)
        if maker is not None:
            bound = self._bound(item, maker)
            grant = _no_wider(_grant(_checked(grant.within(bound), name)), bound)
        if grant.expires is not None and grant.expires <= self._clock.now():
            raise ProjectError("the key would have expired already")
        kid = self._free_kid(item)
        key, field = self._new_key(project, kid, grant, name)
        self._change(item, {"k_" + kid: field})
        return key, _info(kid, field)

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
            _no_wider(_grant(old), self._bound(item, maker))
        fresh = self._free_kid(item)
        key = mint_key(self._mint, project, fresh)
        field = {**_unused(old), "h": hash_key(self._pepper, key), "c": now}
        self._change(item, {"k_" + fresh: field, "k_" + kid: {**old, "e": min(old["e"], now + overlap)}})
        return key, _info(fresh, field)

    def leaked(self, project: str, kid: str, key: str) -> str:
        """End a key that was found in public, if it is `key` itself that lives under that id. `revoked`; `known`, where
        an earlier report ended it; `unknown`, where this project has no such key. What is shown of it stays for 90 days
        and counts against nothing. Nobody can race it: a change that comes between makes it look again."""
        digest = hash_key(self._pepper, key)
        for _ in range(_TRIES):
            item = self._table.get(project_key(project)) or {}
            live, dead = item.get("k_" + kid), item.get(_LEAKED + kid)
            if dead is not None and hmac.compare_digest(dead["h"], digest):
                return "known"
            if live is None or not hmac.compare_digest(live["h"], digest):
                return "unknown"
            now, revision = int(self._clock.now()), item.get("kv")
            shown = {name: live[name] for name in ("h", "e", "s", "c", "n", "u") if name in live} | {"lk": now}
            change = Change(
                put={_LEAKED + kid: shown, "kv": (revision or 0) + 1},
                drop=["k_" + kid, *_forgotten(item, now)],
                expect={"kind": "project", "kv": revision},
            )
            try:
                self._table.update(item["pk"], None, change)
            except Collision:
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
            if any(_unused(found.get(name)) != _unused(value) for name, value in change.put.items()):
                raise KeysChanged from None

    def _bound(self, item: Item, maker: str) -> Grant:
        field = item.get("k_" + maker)
        if field is None or field["e"] <= self._clock.now():
            raise MakerGone
        return _grant(field)

    def _free_kid(self, item: Item) -> str:
        while "k_" + (kid := random62(2)) in item or _LEAKED + kid in item:
            pass
        return kid

    def _new_key(self, project: str, kid: str, grant: Grant, name: str) -> tuple[str, dict[str, Any]]:
        field = {**_checked(grant, name), "c": int(self._clock.now())}
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


def demanded(redact: str) -> str:
    """A demand for redaction as it is kept: kinds with spaces or commas between, `all`, or `none` or "" for nothing.
    ProjectError for what is no kind."""
    try:
        return "" if redact == "none" else demand_of(redact.replace(",", " ").split())
    except ValueError:
        raise ProjectError("redact is all, none or some of " + ", ".join(KINDS)) from None


def _checked(grant: Grant, name: str) -> dict[str, Any]:
    """A grant as it is kept: e, s, and only where given n, m, r, rd, ip. ProjectError where a value is none."""
    if not grant.scopes or not set(grant.scopes) <= set(SCOPES):
        raise ProjectError("scopes are " + ", ".join(SCOPES))
    if not is_key_name(name):
        raise ProjectError("a key's name has at most 64 printable characters")
    if grant.retention == "history" or not is_ceiling(grant.retention or "none"):
        raise ProjectError("a key's retention is none, history:DAYS or not given")
    for entries in (grant.models, grant.cidrs):
        if entries is not None and not 1 <= len(entries) <= MAX_ENTRIES:
            raise ProjectError("a list of models or CIDR ranges has 1 to 8 entries")
    if not all(is_model_name(model) for model in grant.models or ()):
        raise ProjectError("a model's name has 1 to 64 letters, digits and ._:/-")
    try:
        cidrs = sorted({canonical_cidr(text) for text in grant.cidrs or ()})
    except ValueError:
        raise ProjectError("a range of addresses reads like 203.0.113.0/24 or 2001:db8::/32, host bits zero") from None
    own = {name: value for name, value in (("rpm", grant.rpm), ("tpm", grant.tpm), ("smo", grant.spend)) if value}
    if not all(1 <= value <= NO_LIMIT for value in own.values()):
        raise ProjectError("every limit is at least 1")
    field: dict[str, Any] = {
        "e": NEVER if grant.expires is None else grant.expires,
        "s": [scope for scope in SCOPES if scope in grant.scopes],
    }
    optional = {"n": name, "m": sorted(set(grant.models or ())), "r": grant.retention, "ip": cidrs, "l": own}
    optional["rd"] = demanded(grant.redact or "")
    return field | {short: value for short, value in optional.items() if value}


def _grant(field: dict[str, Any]) -> Grant:
    return Grant(
        scopes=tuple(field["s"]),
        expires=None if field["e"] == NEVER else field["e"],
        models=tuple(field["m"]) if "m" in field else None,
        retention=field.get("r"),
        redact=field.get("rd"),
        cidrs=tuple(field["ip"]) if "ip" in field else None,
        rpm=field.get("l", {}).get("rpm"),
        tpm=field.get("l", {}).get("tpm"),
        spend=field.get("l", {}).get("smo"),
    )


def _no_wider(grant: Grant, bound: Grant) -> Grant:
    wider = grant.wider(bound)
    if wider:
        raise TooWide(wider)
    return grant


def _info(kid: str, field: dict[str, Any]) -> KeyInfo:
    used = time.strftime("%Y-%m-%d", time.gmtime(field["u"] * DAY)) if "u" in field else None
    leaked = field.get("lk")
    reason = "leaked" if leaked else None
    return KeyInfo(kid, field["c"], field.get("n", ""), _grant(field), used, leaked, reason)


def _unused(value: Any) -> Any:
    """A key's field without the day of its last use, which the authorizer sets at any time."""
    return {name: part for name, part in value.items() if name != "u"} if isinstance(value, dict) else value


def _forgotten(item: Item, now: int) -> list[str]:
    """The leaked keys that need not be shown any more: after 90 days, and all but the latest few: the item is small."""
    leaked = sorted((field["lk"], name) for name, field in item.items() if name.startswith(_LEAKED))
    crowd = max(0, len(leaked) - (_MOST_LEAKED - 1))
    return [name for index, (at, name) in enumerate(leaked) if index < crowd or at + _SHOWN_DAYS * DAY < now]


def _shown(item: Item) -> list[KeyInfo]:
    found = [_info(name[2:], field) for name, field in item.items() if name.startswith(("k_", _LEAKED))]
    return sorted(found, key=lambda key: (key.created, key.kid))
