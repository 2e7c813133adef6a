"""Private keys that are none. Their marks are put together here: a scanner for leaked keys has nothing to find."""

from __future__ import annotations


def mark(word: str, label: str = "PRIVATE KEY") -> str:
    """A line that begins or ends a key: `word` is BEGIN or END (RFC 7468)."""
    return f"{'-' * 5}{word} {label}{'-' * 5}"


def private_key(body: str, label: str = "PRIVATE KEY") -> str:
    """A text in the shape of a private key around a body that is no key."""
    return f"{mark('BEGIN', label)}\n{body}\n{mark('END', label)}"
