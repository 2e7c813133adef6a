"""Status callbacks: an execution follows a case to its end and tells each change to who asked to be told.

Each turn looks at the case anew and posts what a callback has not acknowledged yet (a status of 2xx). The machine
waits in between, longer and longer: a quarter of the request's age, or the pause after a failure. Nothing but opaque
ids enters the execution. A callback that fails eight times for one status is given up for that status, and the row
says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatapi.aws.calling import Caller
from chatapi.certificates import Signer
from chatapi.clock import Clock
from chatapi.logs import log
from chatapi.outbound import BadUrl, NotReached, Outbound
from chatapi.store.case_states import CANCELLED, COMPLETED, FAILED
from chatapi.store.cases import Case, Cases
from privacy.dialects import drp_status, opendsr
from privacy.dialects.bindings import DRP, Binding, Bindings
from privacy.executions import start_once
from privacy.waiting import settled

MAX_TRIES = 8
GIVEN_UP = "!"
"""Begins the note of a status that a callback never acknowledged."""
_SHORTEST, _LONGEST, _PAUSE = 2, 6 * 3600, 10
_DAYS = 360 * 86400
"""An execution lasts a year at most (AWS Step Functions Developer Guide, "Quotas")."""


class Followers:
    """Starts the executions (Step Functions, "StartExecution"). The name is the request's own, so it starts once."""

    def __init__(self, client: Caller, machine_arn: str) -> None:
        self._client = client
        self._machine_arn = machine_arn

    def follow(self, binding: Binding) -> None:
        """See `Starter`."""
        given = {"project": binding.project, "dialect": binding.dialect, "external": binding.external}
        name = f"{binding.project}-{binding.dialect}-{binding.external}"
        start_once(self._client, self._machine_arn, name, given)


@dataclass(frozen=True)
class Message:
    """What a callback is told now: the status in its dialect, the body and the headers."""

    word: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Ports:
    """What the follower works on."""

    cases: Cases
    bindings: Bindings
    signer: Signer
    outbound: Outbound
    clock: Clock


def follow(ports: Ports, project: str, dialect: str, external: str) -> dict[str, Any]:
    """One turn: `{done, wait}`, `wait` in seconds until the next."""
    binding = ports.bindings.get(project, dialect, external)
    case = settled(ports.cases, ports.cases.get(project, binding.case), ports.clock.now())
    told, tries = list(binding.told), list(binding.tries)
    for index, url in enumerate(binding.callbacks):
        message = _message(ports, binding, case, url)
        if told[index].removeprefix(GIVEN_UP) == message.word:
            continue
        if _post(ports, url, message):
            told[index], tries[index] = message.word, 0
        else:
            tries[index] += 1
            if tries[index] >= MAX_TRIES:
                told[index], tries[index] = GIVEN_UP + message.word, 0
    if (tuple(told), tuple(tries)) != (binding.told, binding.tries):
        ports.bindings.note(binding, told, tries)
    age = int(ports.clock.now()) - binding.created
    ended = case.status in (COMPLETED, CANCELLED) or (case.status == FAILED and not case.open)
    wait = max(_SHORTEST, min(_LONGEST, age // 4))
    if any(tries):
        wait = min(wait, _PAUSE * 2 ** max(tries)) if not ended else _PAUSE * 2 ** max(tries)
    return {"done": (ended and not any(tries)) or age > _DAYS, "wait": wait}


def _post(ports: Ports, url: str, message: Message) -> bool:
    try:
        status = ports.outbound.post(url, message.headers, message.body)
    except NotReached as failure:
        log("callback", function="callbacks", outcome=failure.reason)
        return False
    except BadUrl:
        log("callback", function="callbacks", outcome="url")
        return False
    log("callback", function="callbacks", outcome="told", status=status)
    return 200 <= status < 300


def _message(ports: Ports, binding: Binding, case: Case, url: str) -> Message:
    if binding.dialect == DRP:
        text = json.dumps(drp_status.status_of(binding, case), separators=(",", ":")).encode()
        return Message(drp_status.word(case), text, {"Content-Type": "application/json"})
    shown = {**opendsr.status_of(binding, case), "status_callback_url": url}
    body = json.dumps(shown, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json"}
    headers |= opendsr.signed_headers(ports.signer, opendsr.domain_of(binding.root), body)
    return Message(opendsr.word(case), body, headers)
