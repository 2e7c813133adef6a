"""How long the property tests search. `make prove` runs the campaign, of which the suites run one percent."""

from __future__ import annotations

import os

SCALE = int(os.environ.get("CHATAPI_CAMPAIGN", "1"))
FIRST = int(os.environ.get("CHATAPI_FIRST", "0"))
"""The first seed of a campaign that counts its rounds: one that was cut off goes on behind its last line."""


def examples(count: int) -> int:
    """How many examples to try, where `count` is the suites' share."""
    return count * SCALE
