"""What a project, a key and a request demand to be redacted: kinds of values, and that a demand only ever grows.

A demand is a word: `""` (nothing), `all`, or some of the kinds with spaces between. Detection itself is the chat
function's (chat/redaction); this is what the authorizer, the grants of keys and the command line share.
"""

from __future__ import annotations

from collections.abc import Iterable

KINDS = ("email", "phone", "card", "iban", "ip", "national_id", "credential")
ALL = "all"


def kinds_of(demand: str) -> frozenset[str]:
    """The kinds that are demanded. ValueError for a word that is no kind: fail closed, nothing is sent."""
    words = frozenset(demand.split())
    if not words <= {ALL, *KINDS}:
        raise ValueError("not a demand for redaction")
    return frozenset(KINDS) if ALL in words else words


def demand_of(kinds: Iterable[str]) -> str:
    """The kinds as a demand, in the one spelling of it. ValueError for what is no kind."""
    wanted = kinds_of(" ".join(kinds))
    return ALL if wanted == set(KINDS) else " ".join(kind for kind in KINDS if kind in wanted)


def together(*demands: str) -> str:
    """What several demands ask for together: a demand adds, and takes nothing away. ValueError for what is none."""
    return demand_of(frozenset[str]().union(*map(kinds_of, demands)))
