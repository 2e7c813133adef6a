"""Identity without HTTP: how somebody becomes a session, and nothing else does.

    owner        begin(project, address) ─▶ a code by mail, to the stored address alone ─▶ redeem(challenge, code)
    end user     link(project, subject), with the project's key ─▶ the project hands it on ─▶ enter(link)

`begin` does the same work and gives the same answer whatever the project and the address are: it does not look them up
at all. That is done by a function behind it (privacy.identity.sender), whose time and outcome nobody outside can see.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Protocol

from chatapi.clock import Clock
from chatapi.errors import BadRequest, Forbidden, RateLimited
from chatapi.ids import random62
from chatapi.mail import is_address
from chatapi.vault import lp, project_pepper, subject_id
from privacy.identity.challenges import MAX_AN_HOUR, OPEN, Challenges
from privacy.identity.tokens import LINK, LINK_SECONDS, SESSION, SESSION_SECONDS, Session, Tokens, derived
from privacy.intake.service import INTAKE

CODE_DIGITS = 8
_PROJECT = re.compile(r"[0-9A-Za-z]{8}")
_CHALLENGE = re.compile(r"[0-9A-Za-z]{24}")
_CODE = re.compile(r"[0-9]{8}")


class Messenger(Protocol):
    """Starts the function that sends codes."""

    def start(self, challenge: str) -> None:
        """Start it for a challenge and do not wait. AwsError where it was not started."""
        ...


class CodeRefused(Forbidden):
    """403: the code is wrong, used, expired or was guessed at too often. The four are not told apart."""

    code = "code_refused"
    message = "This code does not work: it is mistyped, used or older than ten minutes. Ask for a new one."


class LinkRefused(Forbidden):
    """403: the link was not signed by us, has expired or was used."""

    code = "link_refused"
    message = "This link does not work any more: it was used, or is older than 15 minutes. Ask for a new one."


class Hashes:
    """The keyed hashes of what was typed. `secret` gives the portal's secret, read at the first use."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def target(self, project: str, address: str) -> str:
        """Of a project and an address; the case of the address does not matter."""
        return hmac.digest(derived(self._secret(), "target"), lp(project, address.lower()), "sha256").hex()

    def code(self, challenge: str, code: str) -> bytes:
        """Of a code, bound to its challenge."""
        return hmac.digest(derived(self._secret(), "code"), lp(challenge, code), "sha256")


class Identity:
    """The service. `pepper` gives the secret of the data subjects' pseudonyms, read at the first use."""

    def __init__(
        self,
        challenges: Challenges,
        messenger: Messenger,
        hashes: Hashes,
        tokens: Tokens,
        clock: Clock,
        pepper: Callable[[], bytes],
    ) -> None:
        self._challenges = challenges
        self._messenger = messenger
        self._hashes = hashes
        self._tokens = tokens
        self._clock = clock
        self._pepper = pepper

    def begin(self, project: str, address: str, base: str, language: str) -> str:
        """Begin to sign in as the owner of a project; the challenge's id. `base` is the portal's URL for the mail.

        BadRequest where one of the two cannot be what it should be, RateLimited after five codes an hour for the same
        two, whether they exist or not.
        """
        project, address = project.strip(), address.strip()
        if not _PROJECT.fullmatch(project):
            raise BadRequest("A project id has 8 letters and digits.", code="invalid_value", param="project")
        if not is_address(address):
            raise BadRequest("This is not a mail address.", code="invalid_value", param="address")
        target = self._hashes.target(project, address)
        if self._challenges.count(target) > MAX_AN_HOUR:
            raise RateLimited("Five codes were sent within an hour. Try again later.", headers={"retry-after": "3600"})
        claim = subject_id(project_pepper(self._pepper(), INTAKE), "user", address.lower())
        name = self._challenges.begin(project, target, claim, base, language)
        self._messenger.start(name)
        return name

    def redeem(self, challenge: str, code: str) -> Session:
        """The owner's session for a code. CodeRefused otherwise; five guesses, one use."""
        digits = re.sub(r"[\s-]", "", code)
        if not _CHALLENGE.fullmatch(challenge) or not (digits.isascii() and _CODE.fullmatch(digits)):
            raise CodeRefused
        given = self._hashes.code(challenge, digits)
        found = self._challenges.guess(challenge)
        if found is None or not hmac.compare_digest(given, found.code) or found.state != OPEN:
            raise CodeRefused
        if not self._challenges.use(challenge, given):
            raise CodeRefused
        owner = self._subject("owner", found.project, found.project)
        return self._session(found.project, owner, True, SESSION_SECONDS, found.claim)

    def link(self, project: str, user: str | None) -> tuple[str, int]:
        """The token of a portal link for one end user of the calling project (None: its owner), and when it ends."""
        subject = self._subject("owner", project, project) if user is None else self._subject("user", project, user)
        session = self._session(project, subject, user is None, LINK_SECONDS)
        return self._tokens.issue(LINK, session), session.expires

    def enter(self, token: str) -> Session:
        """The session of a portal link, once. LinkRefused otherwise."""
        link = self._tokens.read(LINK, token)
        if link is None or not self._challenges.spend(link.id, link.expires):
            raise LinkRefused
        return self._session(link.project, link.subject, link.owner, SESSION_SECONDS)

    def token(self, session: Session) -> str:
        """What the browser keeps of a session."""
        return self._tokens.issue(SESSION, session)

    def who(self, token: str | None) -> Session | None:
        """The session of a browser, while it lasts."""
        return self._tokens.read(SESSION, token) if token else None

    def form_key(self, visitor: str, session: Session | None) -> str:
        """See Tokens."""
        return self._tokens.form_key(visitor, session)

    def _session(self, project: str, subject: str, owner: bool, seconds: int, claim: str = "") -> Session:
        return Session(project, subject, owner, int(self._clock.now()) + seconds, random62(22), claim)

    def _subject(self, kind: str, project: str, value: str) -> str:
        return subject_id(project_pepper(self._pepper(), project), "owner" if kind == "owner" else "user", value)
