"""A key as its project's item holds it: what its field says, and what may be shown of it, also once it has leaked.

`k_ID` is a live key, `x_ID` one that was found in public (docs/keys.md).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from chatapi.grants import MAX_ENTRIES, Grant, canonical_cidr, is_key_name, is_model_name
from chatapi.keys import SCOPES
from chatapi.limits.windows import NO_LIMIT
from chatapi.redaction import KINDS, demand_of
from chatapi.retention import is_ceiling
from chatapi.store.items import Item
from chatapi.store.project_errors import ProjectError

NEVER = 253_402_300_799
"""The expiry of a key that has none: 9999-12-31, in POSIX seconds."""
DAY = 86_400
LEAKED = "x_"
"""How the field of a key that was found in public begins."""
_SHOWN_DAYS = 90
_MOST_LEAKED = 8


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


def demanded(redact: str) -> str:
    """A demand for redaction as it is kept: kinds with spaces or commas between, `all`, or `none` or "" for nothing.
    ProjectError for what is no kind."""
    try:
        return "" if redact == "none" else demand_of(redact.replace(",", " ").split())
    except ValueError:
        raise ProjectError("redact is all, none or some of " + ", ".join(KINDS)) from None


def kept_field(grant: Grant, name: str) -> dict[str, Any]:
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


def grant_of(field: dict[str, Any]) -> Grant:
    """What a kept key opens: the reverse of `kept_field`."""
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


def info_of(kid: str, field: dict[str, Any]) -> KeyInfo:
    """What may be shown of a kept key."""
    used = time.strftime("%Y-%m-%d", time.gmtime(field["u"] * DAY)) if "u" in field else None
    leaked = field.get("lk")
    reason = "leaked" if leaked else None
    return KeyInfo(kid, field["c"], field.get("n", ""), grant_of(field), used, leaked, reason)


def unused(value: Any) -> Any:
    """A key's field without the day of its last use, which the authorizer sets at any time."""
    return {name: part for name, part in value.items() if name != "u"} if isinstance(value, dict) else value


def forgotten(item: Item, now: int) -> list[str]:
    """The leaked keys that need not be shown any more: after 90 days, and all but the latest few: the item is small."""
    leaked = sorted((field["lk"], name) for name, field in item.items() if name.startswith(LEAKED))
    crowd = max(0, len(leaked) - (_MOST_LEAKED - 1))
    return [name for index, (at, name) in enumerate(leaked) if index < crowd or at + _SHOWN_DAYS * DAY < now]


def shown_keys(item: Item) -> list[KeyInfo]:
    """The keys of a project's item, oldest first, with those that were found in public."""
    found = [info_of(name[2:], field) for name, field in item.items() if name.startswith(("k_", LEAKED))]
    return sorted(found, key=lambda key: (key.created, key.kid))
