"""Opaque identifiers: random, URL-safe, and for stored completions sortable by time."""

from __future__ import annotations

import os
from typing import NamedTuple

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Base62 in ASCII order, so that encoded numbers of one width sort as their values do."""


def base62(number: int, width: int) -> str:
    """`number` in base62, left-padded to `width` characters. ValueError if it does not fit."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    if number:
        raise ValueError("number does not fit the width")
    return "".join(reversed(digits))


def random62(length: int) -> str:
    """`length` uniformly random base62 characters from the system's generator (5.95 bits each).

    Only `os.urandom`: a generator kept in memory would be cloned by a Lambda SnapStart snapshot.
    """
    out: list[str] = []
    while len(out) < length:
        # 248 = 4 × 62: a byte above it would favour the first letters.
        out += [ALPHABET[byte % 62] for byte in os.urandom(length + 8) if byte < 248]
    return "".join(out[:length])


def completion_id(now: float) -> str:
    """`chatcmpl-` and 29 characters: 8 of the time in milliseconds, 21 random (125 bits). Sorts by creation."""
    return "chatcmpl-" + base62(int(now * 1000), 8) + random62(21)


class Family(NamedTuple):
    """Ids that were made together: a response and its items, the items of one request. They sort by time, then by
    number; whoever has one knows the first of the family, `of(...)`, and nobody can guess any (107 random bits)."""

    start: str
    end: str

    @classmethod
    def new(cls, now: float) -> Family:
        """A family of its own, begun at `now`."""
        return cls(base62(int(now * 1000), 8), random62(18))

    @classmethod
    def of(cls, token: str) -> Family:
        """The family of a token."""
        return cls(token[:8], token[11:])

    def token(self, number: int) -> str:
        """29 characters: 8 of the time in milliseconds, 3 of the number (0 to 238,327), 18 random."""
        return self.start + base62(number, 3) + self.end


def token_of(prefix: str, text: str) -> str | None:
    """The token of an id `prefix` + token; None where `text` cannot be one."""
    token = text.removeprefix(prefix)
    good = text.startswith(prefix) and len(token) == 29 and token.isascii() and token.isalnum()
    return token if good else None


def is_completion_id(text: str) -> bool:
    """Whether `text` could be one of ours. What is not never reaches a store: a path can hold anything."""
    return len(text) == 38 and text.startswith("chatcmpl-") and text[9:].isascii() and text[9:].isalnum()


def request_id() -> str:
    """`dsr_` and 24 random characters: a data-rights case."""
    return "dsr_" + random62(24)


def project_id() -> str:
    """Eight random base62 characters: a project, as it stands in the project's keys."""
    return random62(8)
