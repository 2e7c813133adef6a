"""openai-python, unchanged, does its work against ChatAPI: chats, streams, tools, stored completions."""

from __future__ import annotations

import asyncio
import json
import re

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam, ChatCompletionToolUnionParam

from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_answers import Script, vector
from tests.support.scripted_upstream import ScriptedUpstream

ID = re.compile(r"chatcmpl-[0-9A-Za-z]{29}")
DURATION = re.compile(r"\d+ms|\d+(\.\d+)?s|\d+m\d+s")
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]
ANSWER = "Hello from the scripted upstream."
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TWO_CALLS = Script(tool_calls=(("weather", '{"city": "Wien"}'), ("weather", '{"city": "Graz"}')))


def test_models_are_listed_and_each_can_be_retrieved(client: OpenAI) -> None:
    models = client.models.list().data

    assert MODEL in [model.id for model in models]
    assert [client.models.retrieve(model.id) for model in models] == models
    assert {model.object for model in models} == {"model"}


def test_a_whole_answer(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=HELLO)

    [choice] = completion.choices
    assert ID.fullmatch(completion.id)
    assert (completion.object, completion.model) == ("chat.completion", MODEL)
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content, choice.message.refusal) == ("assistant", ANSWER, None)
    assert completion.usage
    assert completion.usage.completion_tokens == 6
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + 6


def test_a_stream_has_the_call_of_a_custom_tool(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(tool_calls=(("shell", '{"input": "ls"}'),)))
    tools: list[ChatCompletionToolUnionParam] = [{"type": "custom", "custom": {"name": "shell"}}]
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, tools=tools, stream=True)
    deltas = [call.to_dict() for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert deltas[0]["custom"] == {"name": "shell", "input": ""}
    assert [deltas[0]["type"], deltas[1]["custom"]] == ["custom", {"input": "ls"}]


def test_embeddings_come_through_as_the_model_made_them(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.embeddings.create(model="smollm2-135m-embeddings", input=["one", "three"], user="someone")

    assert [one.embedding for one in made.data] == [vector("one", 4), vector("three", 4)]
    assert made.usage.prompt_tokens == made.usage.total_tokens > 0
    assert upstream.requests[-1].body["user"].startswith("sub_")


def test_what_newer_clients_send_is_accepted(client: OpenAI, upstream: ScriptedUpstream) -> None:
    client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hello?"}], "name": "ann"},
        ],
        max_completion_tokens=7,
        prompt_cache_key="k",
        safety_identifier="someone",
        verbosity="medium",
        reasoning_effort="none",
        service_tier="auto",
        extra_body={"not_known_yet": {"a": [1]}},
        extra_headers={"OpenAI-Organization": "org", "OpenAI-Project": "proj"},
    )

    assert upstream.requests[0].body["max_tokens"] == 7
    assert upstream.requests[0].body["messages"][1]["content"] == [{"type": "text", "text": "Hello?"}]
    assert "someone" not in json.dumps(upstream.requests[0].body)
    assert "not_known_yet" not in upstream.requests[0].body


def test_a_stream_has_role_content_finish_and_usage_in_this_order(client: OpenAI) -> None:
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    *deltas, last = chunks
    assert [chunk.choices[0].delta.role for chunk in deltas] == ["assistant"] + [None] * 7
    assert "".join(chunk.choices[0].delta.content or "" for chunk in deltas) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in deltas] == [None] * 7 + ["stop"]
    assert deltas[-1].choices[0].delta.model_dump(exclude_unset=True) == {}
    assert ID.fullmatch(last.id)
    assert {(c.id, c.created, c.model, c.object) for c in chunks} == {
        (last.id, last.created, MODEL, "chat.completion.chunk")
    }
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in deltas)
    assert last.choices == []
    assert last.usage
    assert last.usage.completion_tokens == 6


def test_a_stream_without_usage_has_no_chunk_for_it(client: OpenAI) -> None:
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        chunks = list(stream)

    assert all(chunk.choices and "usage" not in chunk.model_fields_set for chunk in chunks)


def test_the_stream_helper_keeps_text_and_usage(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=HELLO, stream_options={"include_usage": True}) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        completion = stream.get_final_completion()

    assert text == completion.choices[0].message.content == ANSWER
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage
    assert completion.usage.completion_tokens == 6


def test_the_stream_helper_puts_tool_calls_together(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(TWO_CALLS)

    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, tools=[WEATHER], stream_options={"include_usage": True}
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        completion = stream.get_final_completion()

    calls = completion.choices[0].message.tool_calls or []
    assert [event.index for event in done] == [0, 1]
    assert [call.function.name for call in calls] == ["weather", "weather"]
    assert [call.function.parsed_arguments for call in calls] == [{"city": "Wien"}, {"city": "Graz"}]
    assert len({call.id for call in calls}) == 2
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage
    assert upstream.requests[0].body["tools"] == [WEATHER]


def test_a_tool_call_is_answered_in_the_next_turn(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(TWO_CALLS)
    first = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice="auto")
    message = first.choices[0].message
    assert message.tool_calls
    assert message.content is None
    assert first.choices[0].finish_reason == "tool_calls"

    turns: list[ChatCompletionMessageParam] = [*HELLO, message.model_dump(exclude_none=True)]  # type: ignore[list-item]
    turns += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    second = client.chat.completions.create(model=MODEL, messages=turns, tools=[WEATHER])

    assert second.choices[0].message.content == ANSWER
    sent = upstream.requests[1].body["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "tool"]
    assert [turn["tool_call_id"] for turn in sent[2:]] == [call["id"] for call in sent[1]["tool_calls"]]


@pytest.mark.parametrize("stream", [False, True])
def test_the_headers_that_clients_and_people_read(client: OpenAI, stream: bool) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, stream=stream)
    headers = raw.headers
    body = raw.parse()
    if stream:
        list(body)  # the rest of it

    assert raw.request_id == headers["x-request-id"]
    assert headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    for what in ("requests", "tokens"):
        assert 0 < int(headers[f"x-ratelimit-remaining-{what}"]) <= int(headers[f"x-ratelimit-limit-{what}"])
        assert DURATION.fullmatch(headers[f"x-ratelimit-reset-{what}"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", headers["privacy-policy-version"])
    assert headers["data-handling"] == "retained=none; processor=local-model; region=local; training=no"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_completion_is_retrieved_with_its_messages_and_deleted(client: OpenAI, stream: bool) -> None:
    # Given
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, store=True, metadata={"case": "1"}, temperature=0.5, stream=stream
    )
    body = raw.parse()
    completion = [*body][-1] if stream else body  # the whole stream: it is stored before its end is sent
    assert re.fullmatch(r"retained=content; until=\d{4}-.*Z; .*", raw.headers["data-handling"])

    # When, then
    found = client.chat.completions.retrieve(completion.id)
    assert (found.id, found.created, found.object) == (completion.id, completion.created, "chat.completion")
    assert found.choices[0].message.content == ANSWER
    assert found.metadata == {"case": "1"}
    messages = client.chat.completions.messages.list(completion.id)
    assert [(m.id, m.role, m.content) for m in messages] == [(f"{completion.id}-0", "user", "Hello?")]

    gone = client.chat.completions.delete(completion.id)
    assert (gone.id, gone.deleted, gone.object) == (completion.id, True, "chat.completion.deleted")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion.id)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.delete(completion.id)


def test_nothing_is_stored_unless_asked_for(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=HELLO)

    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(completion.id)


def test_lists_page_by_themselves_and_filter(client: OpenAI) -> None:
    ids = [
        client.chat.completions.create(model=MODEL, messages=HELLO, store=True, metadata={"n": str(n % 2)}).id
        for n in range(5)
    ]

    page = client.chat.completions.list(limit=2)
    assert (page.data[0].id, page.has_more, page.object) == (ids[0], True, "list")
    assert [found.id for found in client.chat.completions.list(limit=2)] == ids
    assert [found.id for found in client.chat.completions.list(limit=2, order="desc")] == ids[::-1]
    assert [found.id for found in client.chat.completions.list(after=ids[2])] == ids[3:]
    assert [found.id for found in client.chat.completions.list(metadata={"n": "1"})] == ids[1::2]
    assert [found.id for found in client.chat.completions.list(model="another")] == []


def test_what_one_project_stored_does_not_exist_for_another(client: OpenAI, live: Live) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, store=True)

    with OpenAI(base_url=live.base_url, api_key=live.project().api_key) as other:
        for look in (
            other.chat.completions.retrieve,
            other.chat.completions.messages.list,
            other.chat.completions.delete,
        ):
            with pytest.raises(openai.NotFoundError) as refusal:
                look(completion.id)
            assert refusal.value.code == "not_found"
        assert other.chat.completions.list().data == []

    assert client.chat.completions.retrieve(completion.id).id == completion.id


def test_the_async_client_does_the_same(live: Live, caller: Caller, upstream: ScriptedUpstream) -> None:
    upstream.script(Script(pieces=("one",)), Script(pieces=("two", " three")), TWO_CALLS, Script(status=500))

    async def story() -> None:
        async with AsyncOpenAI(base_url=live.base_url, api_key=caller.api_key) as client:
            assert MODEL in [model.id async for model in client.models.list()]
            whole = await client.chat.completions.create(model=MODEL, messages=HELLO, store=True)
            assert whole.choices[0].message.content == "one"
            stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "two three"
            async with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[WEATHER]) as helper:
                final = await helper.get_final_completion()
            assert len(final.choices[0].message.tool_calls or []) == 2
            assert (await client.chat.completions.retrieve(whole.id)).id == whole.id
            assert [m.id async for m in client.chat.completions.messages.list(whole.id)] == [f"{whole.id}-0"]
            assert (await client.chat.completions.delete(whole.id)).deleted
            with pytest.raises(openai.InternalServerError):
                await client.with_options(max_retries=0).chat.completions.create(model=MODEL, messages=HELLO)

    asyncio.run(story())
