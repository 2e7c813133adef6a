"""A mail becomes a case that waits for identity, and its sender learns the request's id and what happens next (DPO-1).

A mail's sender is no proof of who somebody is, and no address leads to a data subject here: the case belongs to no
project, its subject is a keyed hash of the address, and its clock stands until the officer knows who is asking (GDPR
Art. 12(6)). Another mail of the same sender joins the open case. Neither address nor text is stored with it; the mail
itself lies in its bucket, under the name that the case keeps, for at most the bucket's term.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from chatapi.catalogue import read_policy
from chatapi.clock import Clock
from chatapi.ids import request_id
from chatapi.mail import Mail
from chatapi.store.case_states import COMPLETED, ON_HOLD, RECEIVED, REVERSIBLE, Act
from chatapi.store.cases import Case, Cases, NotAllowed
from chatapi.vault import project_pepper, subject_id
from privacy.intake.letters import Letter, Verdicts, domain_of

INTAKE = "intake"
"""Stands for the project of cases that belong to none (a project's id has eight characters), and is their type."""
MAX_MAILS = 20
ANSWERED = Act(frozenset({RECEIVED, ON_HOLD}), COMPLETED, frozenset({REVERSIBLE}), put={"reason": None})
"""The officer has answered, by hand or by a request in the person's own name: there is nothing left to do here."""
_DAY = 86400


class Received(NamedTuple):
    """What became of a mail: the case, None where it was ignored; `outcome` a fixed word."""

    case: Case | None
    outcome: str


class Intake:
    """The service. `pepper` gives the secret of the data subjects' pseudonyms, read at the first use."""

    def __init__(
        self, cases: Cases, mail: Mail, clock: Clock, pepper: Callable[[], bytes], *, own: str, portal: str
    ) -> None:
        self._cases = cases
        self._mail = mail
        self._clock = clock
        self._pepper = pepper
        self._own = own
        self._portal = portal

    def receive(self, name: str, letter: Letter, verdicts: Verdicts) -> Received:
        """Take a mail in. `name` is its object's key in the bucket, an opaque one.

        It is acknowledged once a day and case at most, and only where its domain vouches for it. An error of the mail
        service passes: the next try acknowledges.
        """
        if verdicts.harmful:
            return Received(None, "harmful")
        if domain_of(letter.sender) == domain_of(self._own):
            return Received(None, "own")
        case = self._case(letter.sender, name)
        if not verdicts.vouch(letter):
            return Received(case, "not_vouched")
        return Received(case, "acknowledged" if self._acknowledge(case, letter.sender) else "repeated")

    def _case(self, address: str, name: str) -> Case:
        subject = subject_id(project_pepper(self._pepper(), INTAKE), "user", address.lower())
        now = self._clock.now()
        case = self._cases.create(INTAKE, request_id(), INTAKE, subject, now, channel="mail", mails=[name])
        if case.status == RECEIVED:
            with contextlib.suppress(NotAllowed):  # another try of the same mail was faster
                case = self._cases.pause(case, now)
        mails = list(case.get("mails", []))
        if name not in mails:
            case = self._cases.note(case, mails=[*mails, name][-MAX_MAILS:])
        return case

    def _acknowledge(self, case: Case, address: str) -> bool:
        now, before = int(self._clock.now()), case.get("acknowledged")
        if before is not None and now - before < _DAY:
            return False
        if self._cases.exchange(case, "acknowledged", before, now).get("acknowledged") != now:
            return False  # another mail of the same sender is being answered
        texts = read_policy("rights")["intake"]
        try:
            text = texts["text"].format(request=case.id, portal=self._portal)
            self._mail.send(address, texts["subject"].format(request=case.id), text)
        except Exception:
            self._cases.note(case, acknowledged=before or 0)
            raise
        return True
