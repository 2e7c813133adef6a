"""When two erasures of the same data count as the same."""

from __future__ import annotations

import json
from typing import Any

_OWN_TO_A_RUN = ("at", "ciphertext", "erased_at", "erased_by", "expires", "hold", "key_arn", "review", "subject")
_RUN = (
    "request",
    "subjects",
    "received_at",
    "completed_at",
    "irrecoverable_after",
    "ledger",
    "wrap_sha256",
    "supplements",
)


def likeness(certificate: bytes) -> Any:
    """What two erasures of the same data have in common: all but the ids, the times and what is random."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(part) for name, part in value.items() if name not in (*_OWN_TO_A_RUN, *_RUN)}
        return [without(part) for part in value] if isinstance(value, list) else value

    return without(json.loads(certificate)["payload"])
