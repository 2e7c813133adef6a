"""What an API key grants, and the law that no key grants more than the key it was made with.

scopes  ⊆ the maker's        models, CIDR ranges: where the maker has a list, each entry within it
expires ≤ the maker's        retention: a ceiling of the maker's holds for what it makes
redact ⊇ the maker's
rpm, tpm, spend ≤ the maker's, where the maker has limits of its own
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from chatapi.redaction import kinds_of
from chatapi.retention import tightest

MAX_ENTRIES = 8
"""Entries of a list of models or ranges: the item that every request updates must stay small (docs/keys.md)."""
MAX_NAME = 64
_LIMITS = ("rpm", "tpm", "spend")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/\-]{0,63}")


@dataclass(frozen=True)
class Grant:
    """What a key opens. None: no restriction of that kind by the key. `expires` in POSIX seconds; `rpm` and `tpm` are
    requests and tokens a minute, `spend` micro-USD a month, `redact` a demand (chatapi/redaction.py), all on top of the
    project's."""

    scopes: tuple[str, ...]
    expires: int | None = None
    models: tuple[str, ...] | None = None
    retention: str | None = None
    cidrs: tuple[str, ...] | None = None
    rpm: int | None = None
    tpm: int | None = None
    spend: int | None = None
    redact: str | None = None

    def within(self, maker: Grant) -> Grant:
        """This grant with the maker's restriction wherever it has none of its own. `wider` still has to be asked."""
        return replace(
            self,
            expires=maker.expires if self.expires is None else self.expires,
            models=maker.models if self.models is None else self.models,
            retention=maker.retention if self.retention is None else self.retention,
            cidrs=maker.cidrs if self.cidrs is None else self.cidrs,
            rpm=maker.rpm if self.rpm is None else self.rpm,
            tpm=maker.tpm if self.tpm is None else self.tpm,
            spend=maker.spend if self.spend is None else self.spend,
            redact=maker.redact if self.redact is None else self.redact,
        )

    def wider(self, maker: Grant) -> str | None:
        """The first field by which this grants more than `maker` does, or None."""
        if not set(self.scopes) <= set(maker.scopes):
            return "scopes"
        if maker.expires is not None and (self.expires is None or self.expires > maker.expires):
            return "expires_at"
        if maker.models is not None and (self.models is None or not set(self.models) <= set(maker.models)):
            return "models"
        if maker.retention is not None and tightest(self.retention or "history", maker.retention) != self.retention:
            return "retention"
        if maker.cidrs is not None and (self.cidrs is None or not _covered(self.cidrs, maker.cidrs)):
            return "cidrs"
        exceeded = [name for name in _LIMITS if _more(getattr(self, name), getattr(maker, name))]
        exceeded += [] if kinds_of(maker.redact or "") <= kinds_of(self.redact or "") else ["redact"]
        return exceeded[0] if exceeded else None


def _more(mine: int | None, its: int | None) -> bool:
    return its is not None and (mine is None or mine > its)


def is_key_name(text: str) -> bool:
    """Whether a key may be called so: at most 64 characters, none that would steer the terminal which lists them."""
    return len(text) <= MAX_NAME and text.isprintable()


def is_model_name(text: str) -> bool:
    """Whether a list of allowed models may hold `text`: 1 to 64 characters, none of which ends a word."""
    return bool(_MODEL.fullmatch(text))


def canonical_cidr(text: str) -> str:
    """A range of addresses in its one spelling (RFC 4632, RFC 5952). ValueError where it is none, or has host bits."""
    if "/" not in text or "%" in text:
        raise ValueError("not a CIDR range")
    return str(ip_network(text, strict=True))


def _covered(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    ranges = [ip_network(text) for text in outer]
    return all(any(_inside(ip_network(text), whole) for whole in ranges) for text in inner)


def _inside(part: IPv4Network | IPv6Network, whole: IPv4Network | IPv6Network) -> bool:
    if isinstance(part, IPv4Network):
        return isinstance(whole, IPv4Network) and part.subnet_of(whole)
    return isinstance(whole, IPv6Network) and part.subnet_of(whole)
