"""Guardrails of a model or a project: applied where they can be, and where they cannot nobody is answered."""

from __future__ import annotations

import dataclasses
import json

import pytest

from chat.providers.base import Finish, ProviderUnavailable, Text, Usage
from chat.providers.guardrail import Guardrail
from chat.providers.scripted import answer
from chatapi.catalogue import read_policy
from chatapi.clock import FixedClock
from chatapi.errors import ApiError
from chatapi.store.items import MemoryTable
from chatapi.store.project_errors import ProjectError
from chatapi.store.project_states import ProjectStates, shown
from chatapi.store.projects import Limits, Projects
from tests.support import openai_types
from tests.support.chat_world import World, frames, whole

HERE, BEDROCK = "smollm2-135m", "bedrock-smollm2-135m"
OURS, THEIRS = Guardrail("abc", "1"), Guardrail("def", "2", "async")


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> None:
    known = read_policy("guardrails")["guardrails"]
    monkeypatch.setitem(known, "ours", {"id": "abc", "version": "1"})
    monkeypatch.setitem(known, "theirs", {"id": "def", "version": "2", "mode": "async"})


def world(guardrail: str = "") -> World:
    made = World(guardrail=guardrail)
    registry = made.chat._registry
    registry.models[BEDROCK] = dataclasses.replace(registry.models[BEDROCK], guardrail=OURS)
    return made


@pytest.mark.parametrize(("project", "applied"), [("", OURS), ("theirs", THEIRS)])
def test_the_projects_own_stands_in_place_of_the_models(project: str, applied: Guardrail) -> None:
    asked = world(project)
    asked.provider.add(answer("a"))
    whole(asked.ask(model=BEDROCK))
    assert asked.provider.calls[0].guardrail == applied


def test_a_model_without_one_is_asked_without_one() -> None:
    asked = world()
    asked.provider.add(answer("a"))
    whole(asked.ask(model=HERE))
    assert asked.provider.calls[0].guardrail is None


@pytest.mark.parametrize(("model", "guardrail"), [(HERE, "ours"), (BEDROCK, "gone")])
def test_where_it_cannot_be_applied_nothing_is_sent(model: str, guardrail: str) -> None:
    asked = world(guardrail)
    with pytest.raises(ApiError) as caught:
        asked.ask(model=model)
    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "guardrail_unavailable", "model")
    assert asked.provider.calls == []


def test_no_fallback_answers_unfiltered() -> None:
    asked = world("theirs")
    registry = asked.chat._registry
    registry.models[BEDROCK] = dataclasses.replace(registry.models[BEDROCK], fallback=(HERE,))
    asked.provider.add(ProviderUnavailable(), answer("a"))
    with pytest.raises(ApiError) as caught:
        asked.ask(model=BEDROCK)
    assert (caught.value.status, len(asked.provider.calls)) == (503, 1)


def test_an_intervention_is_openais_content_filter() -> None:
    asked = world()
    said = (Text("Blocked."), Finish("content_filter"), Usage(5, 2))
    asked.provider.add(said, said)
    done = json.loads(b"".join(asked.ask(model=BEDROCK).body))
    openai_types.chat_completion(done)
    assert (done["choices"][0]["finish_reason"], done["choices"][0]["message"]["content"]) == (
        "content_filter",
        "Blocked.",
    )
    events = frames(asked.ask(model=BEDROCK, stream=True))
    for event in events[:-1]:
        openai_types.chunk(event)
    assert events[-2]["choices"][0]["finish_reason"] == "content_filter"


def test_an_operator_sets_it_for_a_project_by_a_name_that_the_policy_knows() -> None:
    table, clock = MemoryTable(None), FixedClock()
    project, _ = Projects(table, mint=b"m" * 32, pepper=b"p" * 32, clock=clock).create("n", Limits(), region="r")
    states = ProjectStates(table, clock)
    assert "guardrail" not in shown(states.get(project))
    states.update(project, {}, name=None, retention=None, guardrail="ours")
    assert shown(states.get(project))["guardrail"] == "ours"
    with pytest.raises(ProjectError, match="no such guardrail"):
        states.update(project, {}, name=None, retention=None, guardrail="unheard-of")
    states.update(project, {}, name=None, retention=None)
    assert states.get(project)["guard"] == "ours"
    states.update(project, {}, name=None, retention=None, guardrail="")
    assert "guardrail" not in shown(states.get(project))
