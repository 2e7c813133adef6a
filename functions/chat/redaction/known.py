"""Looking for many known values at once, in time that does not grow with how many they are.

A few are searched for one by one, which is the fastest. More lie in an index by how they begin and how long they are:
a text is then walked over once, and where it begins like some of them it is compared with those by length.
"""

from __future__ import annotations

from chat.redaction.detect import TooManyValues

FEW = 32
MOST_CHECKS = 20_000_000
"""Comparisons for one request, some seconds of work: many values of many lengths that all begin alike, in a text that
repeats their beginning. Nothing of such a request is sent."""
_HEAD = 3


class Known:
    """Values, each with its kind. `most` bounds the comparisons of all searches together."""

    def __init__(self, most: int = MOST_CHECKS) -> None:
        self._kinds: dict[str, str] = {}
        self._index: dict[str, dict[int, set[str]]] = {}
        self._heads: set[int] = set()
        self._left = most

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, value: str, kind: str = "") -> None:
        """Look for `value` from here on; nobody looks for what is empty."""
        if value:
            self._kinds[value] = kind
            self._heads.add(min(_HEAD, len(value)))
            self._index.setdefault(value[:_HEAD], {}).setdefault(len(value), set()).add(value)

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, kind) wherever one stands, none overlapping another of the same value. TooManyValues."""
        found = []
        if len(self._kinds) <= FEW:
            for value, kind in self._kinds.items():
                at = text.find(value)
                while at >= 0:
                    found.append((at, at + len(value), kind))
                    at = text.find(value, at + len(value))
            return found
        ends: dict[str, int] = {}
        for at in range(len(text)):
            for head in self._heads:
                for size, values in self._index.get(text[at : at + head], {}).items():
                    self._left -= 1
                    value = text[at : at + size]
                    if value in values and ends.get(value, 0) <= at:
                        ends[value] = at + size
                        found.append((at, at + size, self._kinds[value]))
            if self._left < 0:
                raise TooManyValues
        return found
