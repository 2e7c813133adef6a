"""Canonical, length-prefixed encoding of a sequence of values: injective, so no two sequences share their bytes.

    part = tag length ":" payload
    tag:      "s" text (payload: UTF-8), "b" bytes, "i" integer (payload: canonical decimal)
    length:   bytes of the payload, decimal ASCII without leading zeros

A sequence is its parts one after the other: lp("a", b"bc", 7) = b"s1:ab2:bci1:7". Parts are prefix-free, so
lp(x) + lp(y) = lp(x, y) and nothing can be cut differently. (Netstrings, D. J. Bernstein, 1997, with a type tag.)
The key derivation, the subject ids and the cache keys of the vault are made of it.
"""

from __future__ import annotations

import re

Part = str | bytes | int

_HEAD = re.compile(rb"([sbi])(0|[1-9][0-9]{0,9}):")
_DECIMAL = re.compile(rb"0|-?[1-9][0-9]*")


def lp(*parts: Part) -> bytes:
    """Encode `parts`. ValueError for text that is not Unicode (a lone surrogate), TypeError for any other type."""
    out = []
    for part in parts:
        if isinstance(part, str):
            tag, payload = b"s", utf8(part)
        elif isinstance(part, bytes):
            tag, payload = b"b", part
        elif isinstance(part, int) and not isinstance(part, bool):
            tag, payload = b"i", b"%d" % part
        else:
            raise TypeError("lp takes text, bytes and integers")
        out.append(b"%b%d:%b" % (tag, len(payload), payload))
    return b"".join(out)


def utf8(text: str) -> bytes:
    """`text` as UTF-8. ValueError with a fixed text where it is not valid Unicode."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    raise ValueError("the text is not valid Unicode")  # outside the handler: the cause carries the text


def decode(data: bytes) -> tuple[Part, ...]:
    """The parts of `data`. ValueError unless `data` is exactly what `lp` writes: canonical, complete, no more."""
    parts: list[Part] = []
    at = 0
    while at < len(data):
        head = _HEAD.match(data, at)
        if head is None:
            raise ValueError("not a canonical encoding")
        at = head.end() + int(head[2])
        payload = data[head.end() : at]
        if len(payload) != int(head[2]):
            raise ValueError("not a canonical encoding")
        parts.append(_value(head[1], payload))
    return tuple(parts)


def _value(tag: bytes, payload: bytes) -> Part:
    if tag == b"b":
        return payload
    if tag == b"i":
        if not _DECIMAL.fullmatch(payload):
            raise ValueError("not a canonical encoding")
        return int(payload)
    try:
        return payload.decode()
    except UnicodeDecodeError:
        pass
    raise ValueError("not a canonical encoding")
