"""The states of a data-rights case, and the acts that lead from one to another.

                          commit
    received ─▶ in_progress ─▶ in_progress, irreversible ─▶ completed
     ▲ │            │ ▲            │ ▲        │ ▲
     │ ├────────────┤ └── failed ◄─┘ │        ▼ │ start, when the last hold has ended
     │ ▼            ▼        └───────┘       on_hold      legal holds keep a part; the rest is erased
     │ cancelled  cancelled                      only while reversible
     └─▶ on_hold (identity in doubt: the clock stands)     denied: failed, stage closed; does not start again

An act that does not start where the case is changes nothing (cases.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECEIVED, IN_PROGRESS, ON_HOLD = "received", "in_progress", "on_hold"
COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
REVERSIBLE, IRREVERSIBLE, CLOSED = "reversible", "irreversible", "closed"

_ANY = frozenset({REVERSIBLE, IRREVERSIBLE})


@dataclass(frozen=True)
class Act:
    """One transition: from which states and stages, to which state; `put` sets more."""

    source: frozenset[str]
    target: str
    stages: frozenset[str] = _ANY
    put: Mapping[str, Any] = field(default_factory=dict)


START = Act(frozenset({RECEIVED, IN_PROGRESS, FAILED}), IN_PROGRESS)
COMMIT = Act(frozenset({IN_PROGRESS}), IN_PROGRESS, put={"stage": IRREVERSIBLE})
COMPLETE = Act(frozenset({IN_PROGRESS}), COMPLETED, frozenset({IRREVERSIBLE}))
FAIL = Act(frozenset({RECEIVED, IN_PROGRESS, FAILED}), FAILED)
CANCEL = Act(frozenset({RECEIVED, IN_PROGRESS, ON_HOLD}), CANCELLED, frozenset({REVERSIBLE}))
PAUSE = Act(frozenset({RECEIVED, IN_PROGRESS, FAILED}), ON_HOLD, frozenset({REVERSIBLE}), put={"reason": "identity"})
RESUME = Act(frozenset({ON_HOLD}), RECEIVED, frozenset({REVERSIBLE}), put={"reason": None})
DENY = Act(frozenset({RECEIVED, IN_PROGRESS, ON_HOLD, FAILED}), FAILED, frozenset({REVERSIBLE}), put={"stage": CLOSED})
HOLD = Act(frozenset({IN_PROGRESS}), ON_HOLD, frozenset({IRREVERSIBLE}), put={"reason": "legal_hold"})
RELEASE = Act(frozenset({ON_HOLD}), COMPLETED, frozenset({IRREVERSIBLE}), put={"reason": None})
