"""The portal's words: a catalogue file per language, locales/*.toml, each with the same keys (a test compares them)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

LANGUAGES = {"en": "English", "fr": "Français", "ar": "العربية"}
"""The languages, each by its own name, the first one the default."""
RIGHT_TO_LEFT = frozenset({"ar"})
_FILES = Path(__file__).parent / "locales"


@cache
def words(language: str) -> Mapping[str, str]:
    """The catalogue of a language, flat: `section.key` → text. KeyError for a language that is not offered."""
    if language not in LANGUAGES:
        raise KeyError("no such language")
    raw = tomllib.loads((_FILES / f"{language}.toml").read_text(encoding="utf-8"))
    return MappingProxyType(dict(_flat(raw)))


def preferred(accepted: str, chosen: str | None = None) -> str:
    """The language to answer in: the one that was `chosen`, else the best of an Accept-Language header (RFC 9110,
    12.5.4), else English."""
    if chosen in LANGUAGES:
        return chosen
    best, weight = "en", 0.0
    for part in accepted[:256].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" and 0 <= float(value) <= 1 else 0.0
    except ValueError:
        return 0.0


def _flat(raw: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in raw.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, str(value))]
    return found
