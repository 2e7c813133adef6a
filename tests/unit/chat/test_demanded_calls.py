"""A call that `tool_choice` demands is made, or the answer is a fault of the provider's: never silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.calling import call_of
from chat.entries import BadEntry
from chat.models import Registry
from chat.providers.base import CallMissing, Finish, Text, Usage
from chat.requests import parse
from chatapi.catalogue import read_policy
from chatapi.errors import ApiError
from tests.support.chat_world import World, frames

REGISTRY = Registry("local", openai=True, region="eu-central-1")
MODELS = ["smollm2-135m", "bedrock-smollm2-135m"]
PROSE = (Text("Sunny, I think."), Finish("stop"), Usage(11, 7), CallMissing())


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def choices(names: list[str]) -> st.SearchStrategy[Any]:
    some = st.lists(st.sampled_from(names), min_size=1, unique=True)
    modes = st.sampled_from(["auto", "required"])
    allowed = st.builds(lambda mode, chosen: {"mode": mode, "tools": [tool(name) for name in chosen]}, modes, some)
    return st.one_of(
        st.sampled_from([None, "none", "auto", "required"]),
        st.sampled_from(names).map(tool),
        allowed.map(lambda it: {"type": "allowed_tools", "allowed_tools": it}),
    )


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, unique=True).flatmap(
        lambda names: st.tuples(st.just(names), choices(names))
    ),
    st.sampled_from(MODELS),
)
def test_the_answer_is_begun_with_a_call_where_one_is_demanded(offered: tuple[list[str], Any], model: str) -> None:
    names, choice = offered
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "tools": [tool(name) for name in names]}
    call = call_of(
        parse(json.dumps({**body, "tool_choice": choice}).encode()), REGISTRY.get(model, ()), user="u", cache_key=""
    )

    kind = choice["type"] if isinstance(choice, dict) else choice
    wanted = choice["allowed_tools"]["tools"] if kind == "allowed_tools" else [choice] if kind == "function" else []
    demanded = kind in ("required", "function") or (
        kind == "allowed_tools" and choice["allowed_tools"]["mode"] == "required"
    )
    sent = [each["function"]["name"] for each in call.tools or ()]
    assert sent == [name for name in names if not wanted or tool(name) in wanted]
    assert (call.tool_choice == "required") == demanded
    begun = {"role": "assistant", "content": "<tool_call>["}
    assert call.messages == ({"role": "user", "content": "Hi"}, *([begun] if demanded else []))


@pytest.mark.parametrize(
    "content", ["Let me see. ", [{"type": "text", "text": "Let me "}, {"type": "text", "text": "see. "}]]
)
def test_what_the_caller_has_begun_goes_on_with_a_call(content: Any) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]
    body = {"model": MODELS[0], "messages": turns, "tools": [tool("f")], "tool_choice": "required"}
    call = call_of(parse(json.dumps(body).encode()), REGISTRY.get(MODELS[0], ()), user="u", cache_key="")
    assert call.messages == (turns[0], {"role": "assistant", "content": "Let me see. <tool_call>["})


@pytest.mark.parametrize("stream", [False, True])
def test_a_demanded_call_that_is_missing_is_a_fault_and_is_settled(stream: bool) -> None:
    world = World()
    world.provider.add(PROSE)
    asked: dict[str, Any] = {"tools": [tool("f")], "tool_choice": "required", "stream": stream}
    if stream:
        *_, last = frames(world.ask(**asked))
        error = last["error"]
        assert (error["code"], "tool_choice" in error["message"]) == ("service_unavailable", True)
    else:
        with pytest.raises(ApiError, match="tool_choice") as caught:
            world.ask(**asked)
        assert (caught.value.status, caught.value.code) == (503, "service_unavailable")
    assert (world.used(), world.slots()) == (18, 0)


def test_a_model_of_llama_cpp_that_takes_a_choice_says_what_begins_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    models = read_policy("models")["models"]
    entry = {name: value for name, value in models["smollm2-135m"].items() if name != "call_begins"}
    monkeypatch.setitem(models, "smollm2-135m", entry)
    with pytest.raises(BadEntry, match="call_begins"):
        Registry("local", openai=True, region="eu-central-1")
