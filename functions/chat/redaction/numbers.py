"""Numbers with a check digit or a form of their own: payment cards, national identification numbers, phones.

The checks are python-stdnum's. A text is cut into runs of digit groups once ("4111 1111 1111 1111" is one run of four);
each few neighbouring groups are then asked what they could be, by how many digits they have. Dates, prices and counts
fail those questions early.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from chat.redaction.checks import valid

_MOST_GROUPS, _MOST_DIGITS, _FEWEST_DIGITS = 8, 19, 6
_RUN = re.compile(r"\(?\+?\(?\d++(?:[ \u00a0\u202f.\-/()_\u2010\u2011\u2013]{1,3}+\d++)*+")
_GROUP = re.compile(r"\d++")
_BEFORE = 40


class _Window(NamedTuple):
    """Neighbouring groups: their digits as ASCII, the length of each, what separates them, and where they stand."""

    digits: str
    shape: tuple[int, ...]
    between: tuple[str, ...]
    start: int
    end: int


def numbers(text: str, kinds: Collection[str]) -> Iterator[tuple[int, int, str, bool]]:
    """(start, end, kind, told) of cards, phones and national ids in a text, as far as they are wanted."""
    lowered = text.lower()
    asked = "phone" in kinds and any(word in lowered for word in _CALLS)  # the search itself costs more
    called = [match.end() for match in _CALL.finditer(text)] if asked else []
    for run in _RUN.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
        if groups[-1][1] - groups[0][0] >= _FEWEST_DIGITS:
            yield from _in_run(text, groups, kinds, called)
    if "national_id" in kinds:
        for pattern, names in _LETTERED:
            for match in pattern.finditer(text):
                if not names or any(valid(name, match[0]) for name in names):
                    yield match.start(), match.end(), "national_id", False


def _in_run(
    text: str, groups: list[tuple[int, int]], kinds: Collection[str], called: list[int]
) -> Iterator[tuple[int, int, str, bool]]:
    """Asks each few neighbouring groups. Most are turned away by their shape or first digit."""
    sizes = [end - start for start, end in groups]
    run = "".join(text[start:end] for start, end in groups)
    if not run.isascii():
        run = "".join(str(int(digit)) for digit in run)
    at = 0
    for first, (start, _) in enumerate(groups):
        told = _within(called, start)
        signed = _sign(text, start) is not None
        total, shape = 0, ()  # type: int, tuple[int, ...]
        for last in range(first, min(first + _MOST_GROUPS, len(groups))):
            size = sizes[last]
            total += size
            if total > _MOST_DIGITS or (size == 1 and shape[-1:] == (1,)):
                break
            shape += (size,)
            if total < _FEWEST_DIGITS:
                continue
            card = total >= 13 and run[at] in "23456" and "card" in kinds
            national = shape in _BY_SHAPE and "national_id" in kinds
            formed = (run[at] == "0" and 9 <= total <= 17) or shape in _AMERICAN or shape in _FORMS
            phone = (formed or ((told or signed) and total <= 15)) and "phone" in kinds
            if card or national or phone:
                gaps = tuple(text[groups[i][1] : groups[i + 1][0]] for i in range(first, last))
                window = _Window(run[at : at + total], shape, gaps, start, groups[last][1])
                yield from _asked(text, window, (card, national, phone), told)
        at += sizes[first]


def _asked(
    text: str, window: _Window, could: tuple[bool, bool, bool], called: bool
) -> Iterator[tuple[int, int, str, bool]]:
    card, national, phone = could
    start, end = window.start, window.end
    if card and _is_card(window):
        yield start, end, "card", False
    before, after = text[start - 1 : start], text[end : end + 1]
    if (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()):
        return  # a part of a word or of a hexadecimal number
    if national and (told := _national(text, window)) is not None:
        yield start, end, "national_id", told
    if phone and (told := _phone(text, window, called)) is not None:
        sign = _sign(text, start)
        yield (start if sign is None else sign), end, "phone", told


def _within(ends: list[int], start: int) -> bool:
    """Whether one of the sorted `ends` is at most 24 characters before `start`."""
    index = bisect_right(ends, start) - 1
    return index >= 0 and start - ends[index] <= 24


def _sign(text: str, start: int) -> int | None:
    """Where the + before a number stands, or None."""
    for at in range(start - 1, max(-1, start - 4), -1):
        if text[at] == "+":
            return at
        if text[at] not in "( ":
            return None
    return None


# Payment cards: ISO/IEC 7812, the networks' own ranges and lengths, and the check digit of Luhn.
_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12,15}|62\d{14,17}|(?:50|5[6-9]|6[0-9])\d{10,17}"
)


def _is_card(window: _Window) -> bool:
    return len(window.shape) <= 6 and _NETWORKS.fullmatch(window.digits) is not None and valid("luhn", window.digits)


class _National(NamedTuple):
    """A national number of digits alone: its module in python-stdnum, and the words that must stand before it where its
    check digit alone would believe too much."""

    module: str
    words: re.Pattern[str] | None = None

    def written(self, digits: str) -> str:
        """As its module reads it: Nordic numbers with a dash, which otherwise says that somebody is above 100."""
        return f"{digits[:-4]}-{digits[-4:]}" if self.module in ("se.personnummer", "dk.cpr") else digits


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(r"(?i)(?<![^\W\d_])(?:" + "|".join(words) + r")(?![^\W\d_])")


_SSN = _words("ssn", "social security", "itin", "tax ?id", "tin")
_SIN = _words("sin", "social insurance", "nas")
_BY_SHAPE: dict[tuple[int, ...], tuple[_National, ...]] = {
    (3, 2, 4): (),
    (9,): (
        _National("nl.bsn", _words("bsn", "burgerservicenummer", "sofi")),
        _National("ca.sin", _SIN),
        _National("pt.nif", _words("nif", "contribuinte")),
    ),
    (3, 3, 3): (_National("ca.sin", _SIN),),
    (10,): (_National("gb.nhs", _words("nhs")),),
    (3, 3, 4): (_National("gb.nhs", _words("nhs")),),
    (6, 4): (_National("se.personnummer"), _National("dk.cpr")),
    (8, 4): (_National("se.personnummer"),),
    (11,): (_National("br.cpf"), _National("de.idnr"), _National("pl.pesel", _words("pesel"))),
    (3, 3, 3, 2): (_National("br.cpf"),),
    (2, 3, 3, 3): (_National("de.idnr"),),
    (2, 2, 2, 3, 2): (_National("be.nn"),),
    (12,): (_National("in_.aadhaar", _words("aadhaar", "uidai")),),
    (4, 4, 4): (_National("in_.aadhaar"),),
    (13,): (_National("ch.ssn"),),
    (3, 4, 4, 2): (_National("ch.ssn"),),
    (15,): (_National("fr.nir"),),
    (13, 2): (_National("fr.nir"),),
    (1, 2, 2, 2, 3, 3, 2): (_National("fr.nir"),),
}
"""By how their digits are cut into groups. The shape of a US social security number is its own check."""


def _national(text: str, window: _Window) -> bool | None:
    """None where it is no such number, else whether only the words before it say so."""
    if window.shape == (3, 2, 4) and len(set(window.between)) == 1 and window.between[0] in "- ":
        return False  # a US social security number or ITIN: no check digit, and a form that little else has
    if window.shape == (9,) and _SSN.search(_said_before(text, window.start)):
        return True
    for national in _BY_SHAPE[window.shape]:
        said = national.words is None or national.words.search(_said_before(text, window.start))
        if said and valid(national.module, national.written(window.digits)):
            return national.words is not None
    return None


# Phones have no check digit: they are known by their form (ITU-T E.164, the trunk prefix 0, North America's 3-3-4) or
# by a word before them. Numbering plans are not asked: a typo, or a number that nobody has, is somebody's all the same.
_CALLS = (
    "phone", "telephone", "tel", "mobile", "cell", "call", "fax", "whatsapp", "sms", "telefon", "handy", "mobil",
    "telefono", "teléfono", "téléphone", "móvil", "portable", "telefone", "celular", "numer telefonu", "rufnummer",
)  # fmt: skip
_CALL = _words(*_CALLS)
_AMERICAN = frozenset({(3, 3, 4), (1, 3, 3, 4)})
_FORMS = {(3, 4, 4): "1", (1, 3, 3, 2, 2): "78", (1, 3, 3, 4): "78"}
"""How mobile numbers of China and numbers of Russia are cut, and their first digit."""
_GAPS = frozenset(
    (
        " ",
        "  ",
        " - ",
        " \u2013 ",
        ".",
        "-",
        "/",
        "(",
        ")",
        ") ",
        " (",
        ")-",
        "\u00a0",
        "\u202f",
        "\u2010",
        "\u2011",
        "\u2013",
    )
)
_YEAR = re.compile(r"^(?:19|20)|(?:19|20)\d\d$")


def _phone(text: str, window: _Window, called: bool) -> bool | None:
    """None where it is no phone number, else whether only a word says so."""
    digits, shape, count = window.digits, window.shape, len(window.digits)
    if not _GAPS.issuperset(window.between):
        return None
    if _sign(text, window.start) is not None and digits[0] != "0":
        return False if 8 <= count <= 15 else None
    abroad = digits.startswith("00") and digits[2] != "0" and 11 <= count <= 17
    american = shape in _AMERICAN and digits[-10] in "23456789" and digits[-7] in "23456789"
    formed = american or digits[0] in _FORMS.get(shape, ())
    if abroad or formed or (digits[0] == "0" and 9 <= count <= 12 and 2 <= shape[0] <= 6 and _trunk(window)):
        return False
    return True if called and 6 <= count <= 15 and not (count <= 8 and _YEAR.search(digits) and 4 in shape) else None


def _trunk(window: _Window) -> bool:
    """Whether it is cut as numbers with a trunk prefix are: 030/901820, 0170 123 4567, 06.12.34.56.78. No dates."""
    if not window.between:
        return False
    first, rest = window.between[0], set(window.between[1:])
    if "." in first:
        return window.shape == (2, 2, 2, 2, 2) and rest == {"."}
    if window.shape[:3] == (2, 2, 4):
        return False
    return len(rest) < 2 and (not rest or rest == {first} or (first.strip() in ("/", "-", ")") and rest <= {" ", "-"}))


def _said_before(text: str, start: int) -> str:
    return text[max(0, start - _BEFORE) : start]


# National numbers with letters in them. An empty tuple: the form itself is the check.
_EDGE, _STOP = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_OMO = r"[\dL-Vl-v]"  # Italy's codes may have letters in place of digits
_LETTERED: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(_EDGE + form + _STOP, re.ASCII), names)
    for form, names in (
        (r"\d{8}[- ]?[A-Za-z]", ("es.dni",)),
        (r"[XYZxyz][- ]?\d{7}[- ]?[A-Za-z]", ("es.nie",)),
        (rf"[A-Za-z]{{6}}{_OMO}{{2}}[A-Ta-t]{_OMO}{{2}}[A-Za-z]{_OMO}{{3}}[A-Za-z]", ("it.codicefiscale",)),
        (r"\d{6}[-+A-Fa-fU-Yu-y]\d{3}[0-9A-Ya-y]", ("fi.hetu", "se.personnummer")),
        (r"\d{6}\+\d{4}", ("se.personnummer",)),
        (r"[12] ?\d{2} ?[01]\d ?2[ABab] ?\d{3} ?\d{3} ?\d{2}", ("fr.nir",)),  # Corsica
        (r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", ()),  # the UK's National Insurance
    )
)  # fmt: skip
