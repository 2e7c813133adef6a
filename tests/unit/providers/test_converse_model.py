"""Every request of ours is one that botocore's own model of Converse and ConverseStream takes, or a 400 by name."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from hypothesis import event, given, settings
from hypothesis import strategies as st

from chat import capabilities
from chat.calling import call_of
from chat.custom_tools import name_of
from chat.models import Registry
from chat.providers.base import ProviderRejected
from chat.providers.converse import to_converse
from chat.providers.guardrail import Guardrail
from chat.requests import parse
from chat.thoughts import THOUGHTS, Thoughts
from chatapi.errors import BadRequest
from tests.support.campaign import examples

SERVICE = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
STREAM, WHOLE = (SERVICE.shape_for(f"{name}Request") for name in ("ConverseStream", "Converse"))
ALL = frozenset({"cache_points", "files", "images", "json_object", "json_schema", "tool_choice", "tools"})
MODEL = replace(
    Registry("local", openai=False, region="eu-central-1").get("bedrock-smollm2-135m", ()),
    capabilities=ALL,
    guardrail=Guardrail("abc123", "7"),
    extra={"thinking": {"type": "enabled", "budget_tokens": 2048}},
)
THINKER = Thoughts("p" * 32, MODEL.upstream)
SIGNED = [
    THINKER.seal({"reasoningText": {"text": "Hm.", "signature": "c2ln"}}),
    THINKER.seal({"redactedContent": "c2VjcmV0"}),
]


def unfit(shape: Shape, value: Any, at: str = "") -> list[str]:
    """What of `value`, as JSON, is not as `shape` says: types and members as botocore's validator has them, and bounds
    and patterns, which it leaves to the server."""
    told, said = shape.metadata, []
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return [] if json.loads(json.dumps(value)) == value else [f"{at}: no document"]
        case "structure":
            if not isinstance(value, dict):
                return [f"{at}: no structure"]
            said = [f"{at}.{name}: unknown" for name in value if name not in shape.members]
            said += [f"{at}.{name}: missing" for name in shape.required_members if name not in value]
            if shape.is_tagged_union and len(value) != 1:
                said.append(f"{at}: a union of {len(value)}")
            for name, member in shape.members.items():
                said += unfit(member, value[name], f"{at}.{name}") if name in value else []
            return said
        case "list":
            if not isinstance(value, list | tuple):
                return [f"{at}: no list"]
            size = len(value)
            for index, each in enumerate(value):
                said += unfit(shape.member, each, f"{at}[{index}]")
        case "string" if isinstance(value, str):
            size = len(value)
            if "enum" in told and value not in told["enum"]:
                said.append(f"{at}: not in its enumeration")
            if "pattern" in told and not re.fullmatch(told["pattern"], value):
                said.append(f"{at}: not of its pattern")
        case "blob" if isinstance(value, str):
            size = len(base64.b64decode(value, validate=True))
        case "integer" | "float" if isinstance(value, int | float) and not isinstance(value, bool):
            size = value
        case "boolean" if isinstance(value, bool):
            size = 1
        case _:
            return [f"{at}: no {shape.type_name}"]
    if not told.get("min", size) <= size <= told.get("max", size):
        said.append(f"{at}: {size} is out of bounds")
    return said


def data(*kinds: str) -> st.SearchStrategy[str]:
    content = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())
    return st.builds(lambda kind, raw: f"data:{kind};base64,{raw}", st.sampled_from(kinds), content)


words = st.text(max_size=6)
names = st.sampled_from(["f", "get_weather", "A-1"])
ids = st.one_of(st.sampled_from(["call_1", "toolu_2"]), st.text(max_size=70))
texts = words.map(lambda text: {"type": "text", "text": text})
images = data("image/png", "image/jpg", "image/webp").map(lambda url: {"type": "image_url", "image_url": {"url": url}})
files = data("application/pdf", "text/csv", "text/plain;charset=utf-8").map(
    lambda url: {"type": "file", "file": {"file_data": url, "filename": "x y.pdf"}}
)
asked = st.one_of(
    words,
    st.lists(st.one_of(texts, images), max_size=3),
    files.map(lambda file: [file, {"type": "text", "text": "Read"}]),
)
arguments = st.dictionaries(words, st.one_of(st.integers(), words, st.none()), max_size=2).map(json.dumps)


def function(made: str, name: str, given: str) -> dict[str, Any]:
    return {"id": made, "type": "function", "function": {"name": name, "arguments": given}}


def custom(made: str, name: str, given: str) -> dict[str, Any]:
    return {"id": made, "type": "custom", "custom": {"name": name, "input": given}}


def assistant(content: str | None, made: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": made}


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


calls = st.one_of(st.builds(function, ids, names, arguments), st.builds(custom, ids, names, words))
plain = st.one_of(words, st.lists(texts, max_size=2))
spoken = st.one_of(
    st.builds(said, st.sampled_from(["system", "developer"]), plain),
    st.builds(said, st.just("user"), asked),
)


@st.composite
def called(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A turn of the assistant, and what came of its calls, in whichever order (chat/turns.py)."""
    turn = assistant(draw(st.one_of(st.none(), words)), draw(st.lists(calls, max_size=2)))
    results = draw(st.permutations([call["id"] for call in turn["tool_calls"]]))
    return [turn, *(said("tool", draw(plain), tool_call_id=each) for each in results)]


turns = st.lists(st.one_of(spoken.map(lambda one: [one]), called()), min_size=1, max_size=4).map(
    lambda parts: [message for part in parts for message in part]
)
tools = st.one_of(
    st.builds(lambda n, d: {"type": "function", "function": {"name": n, "description": d}}, names, words),
    st.builds(lambda n: {"type": "function", "function": {"name": n, "parameters": {"type": "object"}}}, names),
    st.builds(lambda n, d: {"type": "custom", "custom": {"name": n, "description": d}}, names, words),
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "description": "d"}}
options: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.integers(1, 8192),
    "temperature": st.floats(0, 1),
    "top_p": st.floats(0, 1),
    "stop": st.one_of(st.text(min_size=1, max_size=3), st.lists(st.text(min_size=1, max_size=3), max_size=4)),
    # Of one name a function and a custom tool are refused (chat/capabilities.py).
    "tools": st.lists(tools, max_size=3, unique_by=name_of),
    "tool_choice": st.sampled_from(["none", "auto"]),
    "response_format": st.sampled_from([{"type": "text"}, SCHEMA]),
    "prompt_cache_key": words,
    "user": st.text(min_size=1, max_size=5),
    "seed": st.none(),
}
bodies = st.builds(
    lambda given, asked: {"model": "m", "messages": given, **asked},
    turns,
    st.fixed_dictionaries({}, optional=options),
)


def sent(body: dict[str, Any], thoughts: Sequence[tuple[int, str]] = ()) -> dict[str, Any]:
    """What goes to Bedrock, as JSON. BadRequest, ProviderRejected."""
    request = parse(json.dumps(body).encode())
    capabilities.check(request, MODEL.capabilities)
    for message in request.messages:
        if message["role"] == "assistant" and thoughts:
            message[THOUGHTS] = list(thoughts)  # type: ignore[typeddict-unknown-key]
    opened = partial(Thoughts, "p" * 32, MODEL.upstream)
    made: dict[str, Any] = json.loads(
        json.dumps(to_converse(call_of(request, MODEL, user="u", cache_key="k" * 32, thoughts=opened)))
    )
    return made


@settings(max_examples=examples(300))
@given(bodies, st.lists(st.tuples(st.integers(0, 2), st.sampled_from(SIGNED)), max_size=2))
def test_what_is_well_formed_is_sent_and_is_what_the_model_says(body: dict[str, Any], thoughts: list[Any]) -> None:
    made = sent(body, thoughts)
    streamed = made["guardrailConfig"]
    whole = {**made, "guardrailConfig": {name: streamed[name] for name in streamed if name != "streamProcessingMode"}}
    assert unfit(STREAM, {"modelId": "m", **made}) == []
    assert unfit(WHOLE, {"modelId": "m", **whole}) == []
    event(f"members: {sorted(made)}")


strange = data("image/svg+xml", "text/x").map(lambda url: {"type": "image_url", "image_url": {"url": url}})
odd = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "tools": st.text(min_size=1, max_size=80).map(lambda name: [{"type": "function", "function": {"name": name}}]),
        "tool_choice": st.sampled_from(["required", {"type": "function", "function": {"name": "f"}}]),
        "response_format": st.sampled_from(
            [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "n"}}]
        ),
        "messages": st.lists(
            st.one_of(
                turns,
                st.one_of(files, strange).map(lambda part: [{"role": "user", "content": [part]}]),
                st.builds(
                    lambda name, given: [
                        assistant(None, [function("", name, given)]),
                        said("tool", "", tool_call_id=""),
                    ],
                    words,
                    words,
                ),
                st.builds(said, st.just("tool"), plain, tool_call_id=ids).map(lambda one: [one]),
            ),
            min_size=1,
            max_size=3,
        ).map(lambda parts: [message for part in parts for message in part]),
    },
)


@settings(max_examples=examples(300))
@given(bodies, odd)
def test_whatever_is_asked_is_sent_as_the_model_says_or_refused_by_name(
    body: dict[str, Any], changes: dict[str, Any]
) -> None:
    refused: str | None = ""
    try:
        made = sent({**body, **changes})
    except (BadRequest, ProviderRejected) as error:
        refused = error.param
    if refused == "":
        assert unfit(STREAM, {"modelId": "m", **made}) == []
    else:
        assert refused is not None
        event(f"refused: {refused.partition('[')[0]}")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"type": "function", "function": {"name": "a" * 65}}]}, "tools"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}, "response_format"),
        ({"messages": [said("user", [{"type": "image_url", "image_url": {"url": "data:x"}}])]}, "messages"),
    ],
)
def test_what_converse_does_not_take_is_named(change: dict[str, Any], param: str) -> None:
    with pytest.raises(ProviderRejected) as caught:
        sent({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **change})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, ".seed: unknown"),
        ({"inferenceConfig": {"temperature": 2.0}}, ".inferenceConfig.temperature: 2.0 is out of bounds"),
        ({"inferenceConfig": {"maxTokens": "5"}}, ".inferenceConfig.maxTokens: no integer"),
        ({"system": [{"text": "a", "cachePoint": {"type": "default"}}]}, ".system[0]: a union of 2"),
        ({"system": [{"cachePoint": {"type": "mine"}}]}, ".system[0].cachePoint.type: not in its enumeration"),
        ({"messages": [{"role": "user"}]}, ".messages[0].content: missing"),
        ({"toolConfig": {"tools": [], "toolChoice": {"tool": {"name": "a b"}}}}, "not of its pattern"),
    ],
)
def test_what_the_model_of_the_service_does_not_say_is_found(change: dict[str, Any], told: str) -> None:
    assert any(told in each for each in unfit(STREAM, {"modelId": "m", **change}))


def test_ids_of_other_servers_still_join_a_call_with_its_result() -> None:
    odd = "call/π" * 20
    call = {"id": odd, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": odd, "content": "1"},
    ]
    made = sent({"model": "m", "messages": history, "tools": [{"type": "function", "function": {"name": "f"}}]})
    ((called,), (result,)) = (message["content"] for message in made["messages"][1:])
    assert called["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"]
    assert unfit(STREAM, {"modelId": "m", **made}) == []
