"""Check digits, which python-stdnum knows, and IBANs. Each part of it is imported when a candidate is first seen: most
texts have none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module

# IBAN: ISO 13616. The country says how long it is, the check digits are ISO 7064's.
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?=[ \u00a0\-]?[0-9A-Za-z])", re.ASCII)


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each."""
    for match in _IBAN.finditer(text):
        length = _iban_length(match[0][:2].upper())
        if not length:
            continue
        end, letters = match.end(), [*match[0]]
        while end < len(text) and len(letters) < length:
            letter = text[end]
            if letter.isascii() and letter.isalnum():
                letters.append(letter)
            elif letter not in " -\u00a0" or not text[end - 1].isalnum():
                break
            end += 1
        if len(letters) == length and valid("iban", "".join(letters)):
            yield match.start(), end


@cache
def _iban_length(country: str) -> int:
    """Characters of an IBAN of the country, 0 where it has none."""
    from stdnum import numdb

    entry = dict(numdb.get("iban").info(country)).get(country, {})
    parts = re.findall(r"(\d+)!", str(entry.get("bban", "")))
    return 4 + sum(map(int, parts)) if parts else 0


@cache
def _check(name: str) -> Callable[[str], bool]:
    module = import_module("stdnum." + name)
    check: Callable[[str], bool] = module.is_valid
    return check


def valid(name: str, number: str) -> bool:
    """Whether python-stdnum's module of that name believes the number."""
    return bool(_check(name)(number))
