"""Tell the project's own webhook (GDPR Art. 19), and say in the certificate what came of it.

It is tried with growing pauses, in which the machine waits: `acknowledged`, or `not reached` after the last. A request
is never held up for longer than the pauses below, and never fails by it: what is erased or corrected is so already.
"""

from __future__ import annotations

from typing import Protocol

from chatapi.store.cases import Case, Cases
from privacy.tasks.ports import Result
from privacy.webhooks import Teller

RECIPIENT = "webhook"
ACKNOWLEDGED, NOT_REACHED, TRYING = "acknowledged", "not reached", "told, not acknowledged yet"
WAITS = (5, 30, 120, 600, 3600)
"""Seconds between the tries."""
_DONE: Result = {"done": True, "wait": 0}


class Telling(Protocol):
    """What is needed to tell."""

    @property
    def cases(self) -> Cases:
        """The cases."""
        ...

    @property
    def teller(self) -> Teller | None:
        """Who tells; None where nobody can be told."""
        ...

    def now(self) -> int:
        """POSIX seconds."""
        ...


def tell(ports: Telling, case: Case) -> Result:
    """One try: `{done, wait}`."""
    if not case.destroying or ports.teller is None:
        return _DONE
    told = case.get("told")
    if told and told["answer"] != TRYING:
        return _DONE
    webhook = ports.teller.webhook(case.project)
    if webhook is None and told is None:
        return _DONE
    now, tries = ports.now(), 1 + (told["tries"] if told else 0)
    if webhook is not None and ports.teller.tell(webhook, case, now):
        answer = ACKNOWLEDGED
    else:
        answer = TRYING if webhook is not None and tries <= len(WAITS) else NOT_REACHED
    ports.cases.note(case, told={"answer": answer, "tries": tries, "at": now})
    return {"done": False, "wait": WAITS[tries - 1]} if answer == TRYING else _DONE


def line(case: Case) -> list[dict[str, object]]:
    """What the certificate says of it; nothing where the project has no webhook."""
    told = case.get("told")
    return [{"recipient": RECIPIENT, "answer": told["answer"], "at": told["at"]}] if told else []
