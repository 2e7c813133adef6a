"""Data Rights Protocol 1.0 (github.com/consumer-reports-innovation-lab/data-rights-protocol): agents of consumers.

Each message is base64(Ed25519 signature ‖ JSON). It is checked in the order of section 3.07, and the first failure ends
it: decode, signature, agent-id, business-id, issued-at, expires-at.

An agent's word is no proof of who a consumer is, and no name, mail address or telephone number leads to a data subject
here. A request becomes a case of the project `intake` that waits for identity, as a mail does (`privacy.intake`), and
its agent is told where its user can prove it. Nothing that was claimed about the user is kept but a keyed hash.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chatapi.clock import Clock
from chatapi.errors import BadRequest, Forbidden, NotFound, RateLimited, RequestTooLarge
from chatapi.ids import request_id
from chatapi.outbound import BadUrl, Outbound
from chatapi.store.agents import Agent, Agents
from chatapi.store.case_states import CANCELLED, RECEIVED
from chatapi.store.cases import Case, Cases, NotAllowed
from chatapi.vault import lp, project_pepper, subject_id
from privacy.dialects.bindings import DRP, Binding, Bindings
from privacy.dialects.drp_status import status_of, word
from privacy.intake.service import ANSWERED, INTAKE
from privacy.waiting import settled

PREFIX = "/v1/data-rights-request"
MAX_MESSAGE = 16 * 1024
MAX_AN_HOUR = 600
"""Calls of one agent. Strangers, who have no token, are throttled together by API Gateway."""
MAX_WINDOW = 3600
"""How far apart issued-at and expires-at may be, in seconds; the protocol recommends ten minutes."""
EXERCISES = {
    "deletion": "erasure",
    "access": "access",
    "access:categories": "access",
    "access:specific": "access",
    "sale:opt-out": "opt_out",
    "sale:opt_out": "opt_out",
    "sale:opt-in": "opt_in",
    "sale:opt_in": "opt_in",
}
_SIGNATURE = 64
_REFERENCE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Drp:
    """The dialect. `pepper` gives the secret of the data subjects' pseudonyms; `business` is our id in the network."""

    def __init__(
        self,
        agents: Agents,
        cases: Cases,
        bindings: Bindings,
        clock: Clock,
        pepper: Callable[[], bytes],
        outbound: Outbound,
        follow: Callable[[Binding], None],
        *,
        business: str,
    ) -> None:
        self._agents = agents
        self._cases = cases
        self._bindings = bindings
        self._clock = clock
        self._pepper = pepper
        self._outbound = outbound
        self._follow = follow
        self._business = business

    def setup(self, agent_id: str, raw: bytes) -> dict[str, str]:
        """Section 2.05: a token for the agent that signed. Forbidden for whatever is wrong: section 2.05.1 wants it."""
        agent = self._agents.get(agent_id)
        if agent is None:
            raise Forbidden
        try:
            message, _ = self._open(agent, raw)
            self._counted(agent)
            return {"agent-id": agent.id, "token": self._agents.issue(agent, _time(message["issued-at"]))}
        except (BadRequest, NotFound, RateLimited, RequestTooLarge):
            raise Forbidden from None

    def agent(self, agent_id: str, authorization: str | None) -> dict[str, str]:
        """Section 2.06: whether the token is this agent's."""
        if self._bearer(authorization).id != agent_id:
            raise Forbidden
        return {}

    def exercise(self, authorization: str | None, root: str, raw: bytes) -> dict[str, Any]:
        """Section 2.01: a request of a user. The same message again is the same request."""
        agent = self._bearer(authorization)
        message, signature = self._open(agent, raw)
        exercise, claim = _exercise(message), _claim(message)
        reference, callback = message.get("agent-request-id"), message.get("status_callback")
        if reference is not None and not (isinstance(reference, str) and _REFERENCE.fullmatch(reference)):
            raise _wrong("agent-request-id")
        if callback is not None:
            self._check(callback)
        pepper = project_pepper(self._pepper(), INTAKE)
        # One message is one request, however often it is sent (3.07: "a single action of one user … one time").
        external = str(UUID(bytes=hashlib.sha256(signature).digest()[:16], version=4))
        subject = subject_id(pepper, "user", claim or lp(agent.id, external).hex())
        try:
            binding = self._bindings.get(INTAKE, DRP, external)
        except NotFound:
            case = self._case(agent, subject, EXERCISES[exercise])
            binding = self._bindings.bind(
                INTAKE,
                DRP,
                external,
                case.id,
                root=root,
                now=self._clock.now(),
                callbacks=[callback] if callback else [],
                told=word(case),
                agent=agent.id,
                reference=reference or "",
            )
        if binding.callbacks:
            self._follow(binding)
        return status_of(binding, self._standing(binding))

    def status(self, authorization: str | None, external: str) -> dict[str, Any]:
        """Section 2.02: the status. Forbidden for another agent's request, and for none."""
        binding = self._own(self._bearer(authorization), external)
        return status_of(binding, self._standing(binding))

    def revoke(self, authorization: str | None, external: str, raw: bytes) -> dict[str, Any]:
        """Section 2.04: take a request back. The user's reason is signed, and is neither read nor kept."""
        agent = self._bearer(authorization)
        binding = self._own(agent, external)
        self._verify(agent, raw)
        case = self._cases.get(INTAKE, binding.case)
        if case.status != CANCELLED:
            case = self._cases.cancel(case)
        return status_of(binding, case)

    def _standing(self, binding: Binding) -> Case:
        return settled(self._cases, self._cases.get(INTAKE, binding.case), self._clock.now())

    def _case(self, agent: Agent, subject: str, right: str) -> Case:
        """An agent's case: what one agent takes back must not end another's."""
        now, target = self._clock.now(), f"{right}.{agent.id}"
        case = self._cases.create(
            INTAKE, request_id(), INTAKE, subject, now, target=target, channel=DRP, **_asked(right)
        )
        if case.status != RECEIVED:
            return case
        with contextlib.suppress(NotAllowed):  # the same request a moment ago
            if right == "opt_out":
                case = self._cases.act(case, ANSWERED, completed=int(now), purpose="sale")
            elif right == "opt_in":
                case = self._cases.deny(case, "not_applicable", now)
            else:
                case = self._cases.pause(case, now)
        return case

    def _bearer(self, authorization: str | None) -> Agent:
        scheme, _, token = (authorization or "").partition(" ")
        agent = self._agents.by_token(token) if scheme.lower() == "bearer" and len(token) <= 200 else None
        if agent is None:
            raise Forbidden("The token is none, or was replaced: set one up with POST /v1/agent/{agent-id}.")
        return self._counted(agent)

    def _counted(self, agent: Agent) -> Agent:
        """The agent, whom its token or signature has proved: a stranger cannot use up what is another's."""
        if self._agents.count(agent, self._clock.now()) > MAX_AN_HOUR:
            raise RateLimited(headers={"retry-after": "3600"})
        return agent

    def _own(self, agent: Agent, external: str) -> Binding:
        try:
            binding = self._bindings.get(INTAKE, DRP, external) if _UUID.fullmatch(external) else None
        except NotFound:
            binding = None
        if binding is None or binding.agent != agent.id:
            raise Forbidden("The request is not one of this agent's.")
        return binding

    def _verify(self, agent: Agent, raw: bytes) -> tuple[bytes, bytes]:
        """(JSON, signature) of a message. BadRequest unless it decodes, then unless the agent signed it."""
        if len(raw) > MAX_MESSAGE:
            raise RequestTooLarge("The message is larger than 16 KiB.")
        try:
            buffer = base64.b64decode(raw.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest("The message is not base64.", code="decode") from None
        signature, text = buffer[:_SIGNATURE], buffer[_SIGNATURE:]
        try:
            Ed25519PublicKey.from_public_bytes(agent.key).verify(signature, text)
        except (InvalidSignature, ValueError):
            raise BadRequest("The signature is not this agent's.", code="signature") from None
        return text, signature

    def _open(self, agent: Agent, raw: bytes) -> tuple[dict[str, Any], bytes]:
        text, signature = self._verify(agent, raw)
        message, now = _object(text), self._clock.now()
        if message.get("agent-id") != agent.id:
            raise BadRequest("The message names another agent.", code="agent-id", param="agent-id")
        if message.get("business-id") != self._business:
            raise BadRequest("The message is meant for another business.", code="business-id", param="business-id")
        issued, expires = _time(message.get("issued-at")), _time(message.get("expires-at"))
        if issued > now:
            raise BadRequest("The message was issued in the future.", code="issued-at", param="issued-at")
        if expires <= now or expires - issued > MAX_WINDOW:
            raise BadRequest(
                "The message has expired, or is valid for too long.", code="expires-at", param="expires-at"
            )
        return message, signature

    def _check(self, callback: object) -> None:
        try:
            self._outbound.check(callback if isinstance(callback, str) else "")
        except BadUrl:
            raise _wrong("status_callback") from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("What was signed is not a JSON object.", code="invalid_json")
    return found


def _time(value: object) -> int:
    """POSIX seconds of an ISO 8601 time with its zone, or 0: long ago."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        return int(found.timestamp()) if found and found.tzinfo else 0
    except (ValueError, OverflowError):
        return 0


def _exercise(message: dict[str, Any]) -> str:
    exercise = message.get("exercise")
    if not isinstance(exercise, str) or exercise not in EXERCISES:
        raise BadRequest("Unsupported rights action.", code="exercise", param="exercise")
    if not str(message.get("drp.version", "")).startswith(("1.", "0.9.")):
        raise _wrong("drp.version")
    if message.get("regime") not in (None, "ccpa", "gdpr", "voluntary"):
        raise _wrong("regime")
    return exercise


def _asked(right: str) -> dict[str, str]:
    """What a case has to know so that it can go on when its person is known."""
    return {} if right.startswith("opt_") else {"asks": right}


def _claim(message: dict[str, Any]) -> str:
    """What stands for the user: the mail address, in lower case, else the telephone number, else nothing."""
    for name in ("email", "phone_number"):
        value = message.get(name)
        if isinstance(value, str) and 0 < len(value) <= 254:
            return value.lower()
    return ""


def _wrong(param: str) -> BadRequest:
    return BadRequest("A field of the message has the wrong type or value.", code="invalid_value", param=param)
