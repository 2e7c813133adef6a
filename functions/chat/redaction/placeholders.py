"""Placeholders and their values, for one request: `<EMAIL_1>` stands for the first e-mail address, wherever it occurs.

What a text of the request says that looks like a placeholder is never one: ours are numbered on from there. The numbers
depend on the texts alone, so the same request has the same placeholders again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

from chat.redaction.detect import VALUE, Detector, Found, TooManyValues
from chat.redaction.known import Known

MOST_VALUES = 10_000
"""Different values of one request. More is not taken: nothing of it is sent."""
_LOOKALIKE = re.compile(r"(?:<|[uU]003[cC])([A-Z][A-Z_]{1,16})_(\d{1,9})")


class Placeholders:
    """The map of one request. `texts`: all that goes to the provider, so that no placeholder is in it already, and so
    that what one of them tells of a value ("my phone: …") holds in the others. `numbered` is false where nothing is
    restored: then a text's placeholders do not depend on the texts before it. `above`: no number is this or lower."""

    def __init__(self, detector: Detector, texts: Iterable[str], *, numbered: bool = True, above: int = 0) -> None:
        self._detector = detector
        self._numbered = numbered
        self._found: dict[str, list[Found]] = {}
        self._told = Known()
        self._by_value: dict[str, str] = {}
        self._written = Known()
        self.values: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._above: dict[str, int] = {}
        for text in texts:
            for match in _LOOKALIKE.finditer(text):
                self._above[match[1]] = max(self._above.get(match[1], 0), int(match[2]))
            self._found[text] = found = detector.find(text)
            for each in found:
                if each.told:
                    self._told.add(text[each.start : each.end], each.kind)
            if len(self._told) > MOST_VALUES:
                raise TooManyValues
        self._least = above

    def hide(self, text: str) -> str:
        """The text with a placeholder for each value. TooManyValues."""
        found = self._found.get(text)
        return self._rebuilt(text, self._detector.find(text) if found is None else found, self._told)

    def seal(self, text: str) -> str:
        """As `hide`, of a text that was restored: every value of the map goes, whatever it stands next to now, and as
        it is written in JSON, by us or by a model."""
        return self._rebuilt(text, self._detector.find(text), self._written)

    def _rebuilt(self, text: str, found: list[Found], known: Known) -> str:
        spans = [(each.start, each.end, each.kind) for each in found] + known.spans(text)
        out, done = [], 0
        for start, end, kind in _merged(spans):
            out += [text[done:start], self._name(text[start:end], kind or VALUE)]
            done = end
        return "".join([*out, text[done:]]) if out else text

    def _name(self, value: str, kind: str) -> str:
        placeholder = self._by_value.get(value)
        if placeholder is None:
            if len(self._by_value) >= MOST_VALUES:
                raise TooManyValues
            self.counts[kind] += 1
            label = kind.upper()
            number = max(self._least, self._above.get(label, 0)) + self.counts[kind]
            placeholder = f"<{label}_{number}>" if self._numbered else f"<{label}>"
            self._by_value[value] = placeholder
            for written in (value, json.dumps(value)[1:-1], _inside(value)):
                self._written.add(written)
            self.values[placeholder] = value
        return placeholder

    def reader(self, *, quoted: bool) -> Reader:
        """What restores one text that comes in pieces. `quoted`: it is JSON, so the values are put into its strings."""
        return Reader(_quoted(self.values) if quoted else self.values)

    def restored(self, text: str, *, quoted: bool = False) -> str:
        """A whole text with its values."""
        reader = self.reader(quoted=quoted)
        return reader.feed(text) + reader.end()


def _merged(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In order, none overlapping: what overlaps becomes one, so that nothing of either is left."""
    out: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(spans):
        if out and start < out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1]), out[-1][2] or kind
        else:
            out.append((start, end, kind))
    return out


def _inside(value: str) -> str:
    """A value as it is put into a string of JSON."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _quoted(values: dict[str, str]) -> dict[str, str]:
    """For text that is JSON: values escaped, and placeholders as servers write them that escape < and > (HTML-safe)."""
    out: dict[str, str] = {}
    for placeholder, value in values.items():
        inside = _inside(value)
        out[placeholder] = inside
        for less, more in (("\\u003c", "\\u003e"), ("\\u003C", "\\u003E")):
            out[less + placeholder[1:-1] + more] = inside
    return out


class Reader:
    """Restores one text piece by piece. It keeps back no more than what may still become a placeholder that stands for
    something: less than the longest one, and only until that is decided."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values
        self._starts = frozenset(name[:end] for name in values for end in range(1, len(name)))
        self._quoted = any(name[0] == "\\" for name in values)
        self._marks = re.compile(r"[<\\]" if self._quoted else "<")
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be said now, with its values."""
        if not self._values or not (self._held or self._marks.search(piece)):
            return piece
        text = self._held + piece
        out, done, at = [], 0, 0
        self._held = ""
        while (mark := self._marks.search(text, at)) is not None:
            at = mark.start()
            end = self._reach(text, at)
            said = text[at:end]
            if said in self._values:
                out += [text[done:at], self._values[said]]
                done = at = end
            elif end == len(text):
                self._held = said
                return "".join([*out, text[done:at]])
            else:
                # In JSON a backslash takes the next character along: \\u003c is no <.
                at += 2 if text[at] == "\\" else 1
        return "".join([*out, text[done:]])

    def _reach(self, text: str, at: int) -> int:
        """How far what stands there can be read as a placeholder."""
        end = at + 1
        while end < len(text) and text[at:end] in self._starts:
            end += 1
        return end if text[at:end] in self._values or text[at:end] in self._starts else end - 1

    def end(self) -> str:
        """What was kept back and became nothing."""
        held, self._held = self._held, ""
        return held
