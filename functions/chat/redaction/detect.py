"""Finding values of some kinds in a text: deterministic, in time linear in its length.

Every pattern starts at a fixed mark or at a boundary, and repeats possessively or within bounds, so none can backtrack
far (tests/unit/chat/redaction/test_linear.py). What has a check digit is believed by it (chat/redaction/numbers.py).
Where finds overlap they become one: nothing of either is left behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from chat.redaction.checks import ibans
from chat.redaction.numbers import numbers


class Found(NamedTuple):
    """A value in a text: text[start:end]. `told` where only the words around it said what it is: then it is that
    wherever else it stands."""

    start: int
    end: int
    kind: str
    told: bool = False


class TooManyValues(Exception):
    """The request holds more values than are replaced."""


MOST_FINDS = 100_000
"""In one text: it bounds the memory that they take."""
VALUE = "value"
"""The kind of what a request itself named (`redact_values`)."""
# Of finds that overlap the longer one gives its name, and among equals the first of these.
_RANK = {kind: rank for rank, kind in enumerate((VALUE, "credential", "iban", "card", "email", "ip"))}
_LEAST = len(_RANK)

_WORD = "[0-9A-Za-z\u00aa-\u2e7f]"

_AT = re.compile(r"@|＠|﹫|%40|\\u0040|&#(?:0{0,5}64|[xX]0{0,5}40);|&commat;")
_DOMAIN = re.compile(r"(?:[\w-]{1,63}+\.){1,10}[^\W\d_]{2,63}+")
_QUOTED = re.compile(r"[^\n:,{}\[\]]{1,64}")
_LOCAL = frozenset("._%+-'~&!#$*")
_LONGEST_LOCAL = 64

_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z]|\.\d)", re.ASCII)
_V6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f:])(?:[0-9A-Fa-f]{0,4}:){2,8}+(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4})?+", re.ASCII
)

_END = r"(?![A-Za-z0-9_\-])"
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[A-Z2-7]{16}+"  # AWS access key ids
    r"|[a-z]{2,16}_(?:live|test)_[A-Za-z0-9]{10,256}+"  # Stripe's form, and this product's own keys
    r"|sk-[A-Za-z0-9_\-]{16,256}+"  # OpenAI, Anthropic, and those who took their form
    r"|gh[pousr]_[A-Za-z0-9]{30,256}+|github_pat_[A-Za-z0-9_]{22,256}+|glpat-[A-Za-z0-9_\-]{20,256}+"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,256}+|AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,512}+"
    r"|SG\.[A-Za-z0-9_\-]{16,64}+\.[A-Za-z0-9_\-]{16,64}+|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,64}+"
    r"|pypi-[A-Za-z0-9_\-]{50,512}+"
    r"|eyJ[A-Za-z0-9_\-]{8,4096}+\.[A-Za-z0-9_\-]{8,8192}+\.[A-Za-z0-9_\-]{0,4096}+"  # RFC 7519
    r")" + _END
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,60}-----)?+"
)
_AUTHORIZED = re.compile(
    r"(?i)authorization[\"']?[ \t]{0,3}+[:=][ \t]{0,3}+[\"']?(?:[a-z]{1,16}+[ \t]{1,3}+)?([^\s\"'`,;<>]{6,512}+)"
)
_USERINFO = re.compile(
    r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,20}+://([^\s/?#@:\"'<>]{0,256}+:[^\s/?#@\"'<>]{1,256}+)@"
)
_ASSIGNED = re.compile(
    r"(?i)(?:(?:passw(?:or)?d|passphrase|pwd|secret|api[_ -]?key|access[_-]?key|(?:auth|access|refresh)[_-]?token)"
    r"[\"']?[ \t]{0,3}+(?:[:=]|is\b)[ \t]{0,3}+[\"']?|(?<![A-Za-z0-9])(?:bearer|basic)[ \t]{1,3}+)"
    r"(?=[^\s\"'`,;<>(){}\[\]]{0,256}\d)([^\s\"'`,;<>(){}\[\]]{6,512}+)"
)


class Detector:
    """Finds values of `kinds`, and those of `named`, which a request brought along."""

    def __init__(self, kinds: Collection[str], named: Iterable[str] = ()) -> None:
        finders: dict[str, Callable[[str], Iterator[Found]]] = {
            "credential": _credentials,
            "iban": lambda text: (Found(*span, "iban") for span in ibans(text)),
            "email": _emails,
            "ip": _addresses,
        }
        self._finders = [find for kind, find in finders.items() if kind in kinds]
        wanted = frozenset(kinds) & {"card", "phone", "national_id"}
        if wanted:
            self._finders.append(lambda text: (Found(*each) for each in numbers(text, wanted)))
        if literals := sorted(set(named), key=len, reverse=True):
            named_of = re.compile("|".join(map(_whole, literals)), re.IGNORECASE)
            self._finders.append(lambda text: (Found(*m.span(), VALUE) for m in named_of.finditer(text)))

    def find(self, text: str) -> list[Found]:
        """The values of a text, in their order, none overlapping. TooManyValues."""
        found: list[Found] = []
        for find in self._finders:
            for each in find(text):
                found.append(each)
                if len(found) > MOST_FINDS:
                    raise TooManyValues
        found.sort()
        out: list[Found] = []
        for each in found:
            if out and each.start < out[-1].end:
                last = out[-1]
                kind = min(last, each, key=lambda one: (one.start - one.end, _RANK.get(one.kind, _LEAST))).kind
                out[-1] = Found(last.start, max(last.end, each.end), kind, last.told or each.told)
            else:
                out.append(each)
        return out


def _whole(literal: str) -> str:
    """A pattern for the literal as a word of its own, in scripts that put something between words."""
    before = rf"(?<!{_WORD})" if re.match(_WORD, literal[0]) else ""
    after = rf"(?!{_WORD})" if re.match(_WORD, literal[-1]) else ""
    return before + re.escape(literal) + after


def _emails(text: str) -> Iterator[Found]:
    """RFC 5321 and 6531. From each `@` backwards at most 64 characters, so the time is linear."""
    for mark in _AT.finditer(text):
        domain = _DOMAIN.match(text, mark.end())
        if domain is None:
            continue
        start, floor = mark.start(), max(0, mark.start() - _LONGEST_LOCAL)
        if text[start - 1 : start] == '"':  # "jane doe"@…; in JSON it opens a string instead
            opened = text.rfind('"', floor, start - 1)
            if opened >= 0 and _QUOTED.fullmatch(text, opened + 1, start - 1):
                yield Found(opened, domain.end(), "email")
            continue
        while start > floor and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
            start -= 1
        while start < mark.start() and not text[start].isalnum() and text[start] not in "_+":
            start += 1
        if start < mark.start():
            yield Found(start, domain.end(), "email")


def _addresses(text: str) -> Iterator[Found]:
    """IPv4 and IPv6, less what names no machine in particular: loopback, unspecified, netmasks."""
    for pattern in (_V4, _V6):
        for match in pattern.finditer(text):
            said = match[0]
            if pattern is _V6:
                if len(said) < 6 or not any(letter.isdigit() for letter in said):
                    continue  # a::b is C++ or Rust
                if said.endswith(":") and not said.endswith("::"):
                    said = said[:-1]
            try:
                address = ip_address(said)
            except ValueError:
                continue
            if not (address.is_loopback or address.is_unspecified or said.startswith("255.")):
                yield Found(match.start(), match.start() + len(said), "ip")


_ASSIGNMENTS = ("passw", "passphrase", "pwd", "secret", "key", "token", "bearer", "basic", "authorization")
"""Without one of these in it a text need not be searched for what they name, which takes most of the time."""


def _credentials(text: str) -> Iterator[Found]:
    lowered = text.lower()
    for pattern in (_PRIVATE_KEY, _TOKENS):
        for match in pattern.finditer(text):
            yield Found(*match.span(), "credential")
    assigned = any(word in lowered for word in _ASSIGNMENTS)
    for pattern in (_USERINFO, _AUTHORIZED, _ASSIGNED) if assigned else (_USERINFO,):
        for match in pattern.finditer(text):
            yield Found(*match.span(1), "credential", told=True)
