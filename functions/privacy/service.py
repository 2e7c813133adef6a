"""The data-rights API without HTTP: create, read, list and cancel cases, and their certificates."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from chatapi.aws.errors import AwsError
from chatapi.certificates import Signer
from chatapi.clock import Clock
from chatapi.errors import BadRequest, Conflict, NotFound, Unavailable
from chatapi.ids import base62, request_id
from chatapi.store.case_states import COMPLETED, FAILED, RECEIVED
from chatapi.store.cases import Case, Cases
from chatapi.vault import lp, project_pepper, subject_id
from privacy.asking import NOTHING_KEPT, Asking, Terms
from privacy.downloads import Links
from privacy.requests import PrivacyRequest, Subject, Wish, complete
from privacy.waiting import Waiting

STALE_SECONDS = 60
"""How long a case may wait for its execution before the next read of it starts one."""
_RESTART_SECONDS = 900
_CASE_ID = re.compile(r"dsr_[0-9A-Za-z]{24}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,64}")


class Executions(Protocol):
    """Starts executions of the workflows."""

    def start(self, name: str, case: Case) -> None:
        """Start the workflow of a case's right; a name that was used before is no error. AwsError where it was not
        started."""
        ...


class Rights:
    """The service. `pepper` gives the secret of the data subjects' pseudonyms, read at the first use."""

    def __init__(
        self,
        cases: Cases,
        executions: Executions,
        signer: Signer,
        clock: Clock,
        pepper: Callable[[], bytes],
        *,
        links: Links,
        asking: Asking,
        grace_seconds: int = 0,
    ) -> None:
        self._cases = cases
        self._executions = executions
        self._signer = signer
        self._clock = clock
        self._pepper = pepper
        self._links = links
        self._asking = asking
        self._grace = grace_seconds
        self._waiting = Waiting(cases, clock)

    def create(
        self,
        project: str,
        request: PrivacyRequest,
        idempotency_key: str | None = None,
        terms: Terms = NOTHING_KEPT,
    ) -> Case:
        """A new case under way. With an idempotency key the same call gives the same case, and starts it again where it
        was not started or has failed. Unavailable where it was created but not started: then it stays `received`."""
        pepper, subject = project_pepper(self._pepper(), project), self.pseudonym(project, request.subject)
        return self.ask(project, subject, request, _case_id(pepper, project, idempotency_key), terms)

    def ask(
        self, project: str, subject: str, wish: Wish, case_id: str | None = None, terms: Terms = NOTHING_KEPT
    ) -> Case:
        """See `create`, for a data subject by its pseudonym. `wish` is what `privacy.requests.complete` has passed.
        BadRequest where what it asks for is not known, or not for choosing."""
        standing = self._cases.find(project, case_id) if case_id else None
        if standing is not None:  # what it carries was handed in then
            return self._going(standing, subject, wish.type)
        target, facts = self._asking.prepare(project, subject, wish, terms)
        now = self._clock.now()
        case = self._cases.create(
            project, case_id or request_id(), wish.type, subject, now, target=target, grace=self._grace, **facts
        )
        return self._going(case, subject, wish.type)

    def open(self, project: str, subject: str, right: str, case_id: str | None = None) -> Case:
        """See `ask`, for a right that needs nothing but its name."""
        return self.ask(project, subject, complete(Wish(type=right)), case_id)

    def _going(self, case: Case, subject: str, right: str) -> Case:
        if case.subject != subject or case.type != right:
            raise Conflict("This idempotency key was used for another request.", code="idempotency_key_reused")
        if case.status in (RECEIVED, FAILED) and case.open:
            try:
                self._start(case)
            except AwsError:
                raise Unavailable("The request was received, but could not be started yet.") from None
        return case

    def pseudonym(self, project: str, subject: Subject) -> str:
        """The id under which a project's data subject is known here."""
        pepper = project_pepper(self._pepper(), project)
        return subject_id(pepper, "owner", project) if subject.owner else subject_id(pepper, "user", subject.user)

    def get(self, project: str, case_id: str, subject: str | None = None) -> Case:
        """One of the project's own cases, of `subject` alone where it is given. One that has waited too long for its
        execution is started by the way."""
        case = self._own(project, case_id)
        if subject is not None and case.subject != subject:
            raise NotFound
        if case.status == RECEIVED and self._clock.now() - case.created > STALE_SECONDS:
            try:
                self._start(case)
            except AwsError:
                return case  # reading does not depend on it; the next read tries again
        return case

    def list(self, project: str, after: str | None, limit: str | None) -> tuple[list[Case], bool]:
        """A page of the project's own cases, and whether there is more. `limit` 1 to 100, as it came."""
        if limit is not None and not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= 100):
            raise BadRequest("limit is a number from 1 to 100.", code="invalid_value", param="limit")
        if after is not None and not _CASE_ID.fullmatch(after):
            raise BadRequest("after is the id of a request.", code="invalid_value", param="after")
        return self._cases.list(project, after, int(limit or 20))

    def of_subject(self, project: str, subject: str) -> Sequence[Case]:
        """The cases of one data subject, newest first; the last hundred."""
        return self._cases.of_subject(project, subject)

    def cancel(self, project: str, case_id: str) -> Case:
        """Cancel, while everything can be taken back; Conflict afterwards."""
        case = self._cases.cancel(self._own(project, case_id))
        self._asking.forget(case)
        return case

    def waiting(self, project: str, subject: str, claim: str) -> Sequence[Case]:
        """What stands still until its person says that it is theirs (privacy.waiting)."""
        return self._waiting.of(project, subject, claim)

    def awaited(self, project: str, subject: str, claim: str, case_id: str) -> Case:
        """One of them, also after it went on; NotFound for everybody else's."""
        if not _CASE_ID.fullmatch(case_id):
            raise NotFound
        return self._waiting.find(project, subject, claim, case_id)

    def confirm(self, project: str, subject: str, claim: str, case_id: str) -> Case:
        """The person, who is known by now, lets it go on: its clock runs again from this moment. The case to follow."""
        case = self.awaited(project, subject, claim, case_id)
        case = self._waiting.confirm(case, project, subject, self.open)
        return self._going(case, subject, case.type) if case.project == project else case

    def certificate(self, project: str, case_id: str, part: str | None = None) -> bytes:
        """The certificate's bytes, the same at every call; NotFound until there is one. `part` "release": the second
        one of an erasure that legal holds had kept from ending."""
        if part not in (None, "release"):
            raise BadRequest("part is release or absent.", code="invalid_value", param="part")
        case = self._own(project, case_id)
        found = case.get("release_certificate" if part else "certificate")
        if found is None or not (case.status == COMPLETED or (case.waiting and not part)):
            raise NotFound("The request has no certificate: it is not completed.", code="certificate_not_ready")
        return bytes(found)

    def export(self, project: str, case_id: str) -> tuple[str, int]:
        """(token, expiry) of a new one-time link to the export of a completed request; NotFound where there is none."""
        return self._links.make(self._own(project, case_id))

    def download(self, token: str) -> str:
        """Where the bytes behind a token are; it is used up. NotFound for whatever is wrong with it."""
        return self._links.follow(token)

    def jwks(self) -> dict[str, Any]:
        """The public keys that verify certificates (RFC 7517)."""
        return {"keys": [self._signer.jwk()]}

    def _own(self, project: str, case_id: str) -> Case:
        if not _CASE_ID.fullmatch(case_id):
            raise NotFound
        return self._cases.get(project, case_id)

    def _start(self, case: Case) -> None:
        """The first execution has the case's id for its name. A later one has a name per quarter of an hour: names are
        used up for 90 days, and a client that polls must not start a swarm."""
        now = int(self._clock.now())
        first = case.status == RECEIVED and now - case.created <= STALE_SECONDS
        name = case.id if first else f"{case.id}-{now // _RESTART_SECONDS}"
        self._executions.start(name, case)


def _case_id(pepper: bytes, project: str, idempotency_key: str | None) -> str:
    """Random, or made from the client's key so that a repeat finds the same case without a second table."""
    if idempotency_key is None:
        return request_id()
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadRequest(
            "idempotency-key has 1 to 64 visible characters.", code="invalid_value", param="idempotency-key"
        )
    digest = hmac.digest(pepper, lp("chatapi/case/v1", project, idempotency_key), "sha256")
    return "dsr_" + base62(int.from_bytes(digest, "big") % 62**24, 24)
