"""Every language has every word, and says the same numbers."""

from __future__ import annotations

import ast
import re
import string

import pytest

from chatapi.catalogue import catalogue, read_policy
from chatapi.certificates import OUTCOMES
from chatapi.store.consents import optional_purposes
from privacy.portal.public import SECTIONS
from privacy.portal.words import LANGUAGES, preferred, words
from tests.support.transformed import ROOT

ENGLISH = words("en")
OTHERS = [language for language in LANGUAGES if language != "en"]


def holes(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("language", OTHERS)
def test_no_word_is_missing_or_left_over_and_each_is_translated(language: str) -> None:
    found = words(language)
    assert set(found) == set(ENGLISH)
    for key, text in found.items():
        assert text.strip()
        assert holes(text) == holes(ENGLISH[key]), key
    alike = {key for key in found if found[key] == ENGLISH[key]}
    names = {"kinds.conversation", "sign_in.project", "shell.date", "shell.date_time"}  # the same word in both
    assert alike <= names, alike - names


def test_arabic_is_written_in_arabic() -> None:
    formats = {"shell.date"}
    assert all(re.search("[\u0600-\u06ff]", text) for key, text in words("ar").items() if key not in formats)


def test_everything_that_a_policy_file_names_has_its_word() -> None:
    needed = {f"promises.{number}" for number in read_policy("commitments")}
    needed |= {f"sections.{section}" for section in SECTIONS}
    needed |= {f"stores.{store}" for store in catalogue().stores}
    needed |= {f"outcomes.{outcome}" for outcome in OUTCOMES}
    rights = read_policy("rights")
    needed |= {f"rights.{right}" for right in rights["types"]} | {f"rights.{right}_text" for right in rights["types"]}
    needed |= {f"reasons.{reason}" for reason in (*rights["denials"], *rights["explanations"])}
    needed |= {f"purposes.{purpose}{part}" for purpose in optional_purposes() for part in ("", "_text")}
    assert needed - set(ENGLISH) == set()
    assert {key for key in ENGLISH if key.startswith("promises.")} <= needed


def test_every_word_that_the_code_says_is_there_and_every_word_is_said() -> None:
    said = set()
    for file in (
        file for place in ("portal", "identity") for file in (ROOT / "functions/privacy" / place).glob("*.py")
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.add(node.value)
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
                said.add("".join(str(part) for part in parts))
    plain = {text for text in said if re.fullmatch(r"[a-z_]+\.[a-z_0-9]+", text)}
    sections = {key.partition(".")[0] for key in ENGLISH}
    keys = {text for text in plain if text.partition(".")[0] in sections and not text.endswith((".py", ".js", ".css"))}
    assert all(any(key.startswith(text) for key in ENGLISH) for text in keys), keys  # whole, or before a variable part
    patterns = [re.compile(re.escape(text).replace(r"\*", "[A-Za-z0-9_-]+")) for text in said if "*" in text]
    unsaid = {key for key in ENGLISH if key not in plain and not any(p.fullmatch(key) for p in patterns)}
    assert unsaid == set()


@pytest.mark.parametrize(
    ("header", "chosen", "language"),
    [
        ("", None, "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8", None, "fr"),
        ("de, ar;q=0.5, en;q=0.4", None, "ar"),
        ("fr;q=0", None, "en"),
        ("fr;q=x, *", None, "en"),
        ("fr", "ar", "ar"),
        ("fr", "xx", "fr"),
        ("," * 5000, None, "en"),
    ],
)
def test_the_readers_language_is_chosen(header: str, chosen: str | None, language: str) -> None:
    assert preferred(header, chosen) == language
