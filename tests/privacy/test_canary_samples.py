"""Consent given: samples are ciphertext, patterns are numbers, and what a person said is found nowhere else."""

from __future__ import annotations

import json
from typing import Any

from chatapi.clock import SystemClock
from chatapi.keys import SCOPES
from chatapi.store.project_states import ProjectStates
from privacy.choosing.handler import handler
from tests.privacy.test_canary import CANARIES, Haul, attempt, haul, planted, raw_items
from tests.support.deployed import InProcess, erase
from tests.support.scripted_answers import Script

__all__ = ["haul"]

CHAT, CONSENTS = "/v1/chat/completions", "/v1/privacy/consents"
WHO = {"subject": {"user": CANARIES["safety"].text}}


def test_what_consent_allows_is_ciphertext_or_a_number_and_goes(functions: InProcess, haul: Haul) -> None:
    # given a person who allows everything, in a project that takes part
    project, key = functions.project(scopes=SCOPES)
    states = ProjectStates(functions.projects()._table, SystemClock())
    states.update(project, {}, name=None, retention=None, improve=True)

    def choose(purpose: str, state: str) -> dict[str, Any]:
        status, body = attempt(functions, haul, key, "POST", CONSENTS, {**WHO, "purpose": purpose, "state": state})
        assert status == 200, body
        record: dict[str, Any] = json.loads(body)["record"]
        given = {"project": project, "subject": record["pii_principal_id"], "purpose": purpose}
        for task in ("apply", "sign", "tell"):
            handler({**given, "revision": record["revision"], "request": record["record_id"], "task": task}, None)
        return record

    for purpose in ("analytics", "improvement", "marketing"):
        choose(purpose, "granted")
    # when canaries are said, answered, streamed, and cut off
    answer = Script(pieces=(CANARIES["answer"].text, " fine"))
    cut = Script(pieces=("a", CANARIES["answer"].text), cut_after=1)
    functions.stack.upstream.script(answer, answer, cut)
    for more in ({}, {"stream": True}, {}):
        attempt(functions, haul, key, "POST", CHAT, planted(**more))
    # then there are samples and patterns, and nothing can be read in any
    standing = raw_items(functions)
    assert standing.count(b'"sample"') == 2
    assert b'"pattern"' in standing
    assert haul.search(outside=standing) == {}
    # and a withdrawal takes the samples, an erasure the rest
    choose("improvement", "withdrawn")
    assert b'"sample"' not in raw_items(functions)
    status, body = attempt(functions, haul, key, "POST", "/v1/privacy/requests", {"type": "erasure", **WHO})
    assert status == 202
    erase(json.loads(body)["id"], project)
    assert haul.search(outside=raw_items(functions)) == {}
