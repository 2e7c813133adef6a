"""Embeddings: what was sent is nowhere afterwards, neither in a log nor in a table, and never stored at all."""

from __future__ import annotations

import pytest

from tests.privacy.test_canary import CANARIES, Haul, attempt, haul, raw_items
from tests.support.deployed import InProcess
from tests.support.embedding_model import EMBEDDER, offer
from tests.support.scripted_answers import Script

__all__ = ["haul"]

PATH = "/v1/embeddings"
TEXT = {place: canary.text for place, canary in CANARIES.items()}
BODY = {"model": EMBEDDER, "input": [TEXT["prompt"]], "user": TEXT["user"], "safety_identifier": TEXT["safety"]}


def test_nothing_that_was_embedded_is_found_anywhere(
    functions: InProcess, haul: Haul, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given canaries in every field, through success, refusals, and failures of the upstream
    offer(monkeypatch)
    _, key = functions.project()
    assert attempt(functions, haul, key, "POST", PATH, BODY)[0] == 200
    functions.stack.upstream.script(Script(status=500), Script(status=400, error={"message": TEXT["prompt"]}))
    refused = [BODY, BODY, {**BODY, "model": TEXT["prompt"]}, {**BODY, "encoding_format": TEXT["prompt"]}]
    refused += [{**BODY, "input": [TEXT["prompt"], 1]}, {**BODY, "model": "smollm2-135m"}]
    for body in refused:
        status, said = attempt(functions, haul, key, "POST", PATH, body)
        assert status >= 400
        assert not any(canary.found_in(said) for canary in CANARIES.values())
    # then what reached the upstream names nobody
    [asked, *_] = [each for each in functions.stack.upstream.requests if each.path == PATH]
    assert asked.body["input"] == [TEXT["prompt"]]
    assert TEXT["user"] not in asked.body["user"]
    # and no canary is left
    assert haul.search(outside=raw_items(functions)) == {}
