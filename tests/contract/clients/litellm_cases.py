"""LiteLLM as a client: ChatAPI is an OpenAI-compatible provider of it."""

from __future__ import annotations

import json
from typing import Any

import litellm
from harness import ANSWER, LIVE, MODEL, WEATHER, asked, raised, run, script
from pydantic import BaseModel

litellm.telemetry = False
HELLO = [{"role": "user", "content": "Hello?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    """A city."""

    name: str
    people: int


def ask(messages: list[Any], **options: Any) -> Any:
    told = {"api_base": LIVE["base_url"], "api_key": LIVE["api_key"], "model": f"openai/{MODEL}"}
    # With tools, LiteLLM 1.106 imports its proxy's MCP handler, whose packages only its extra `proxy` brings.
    told |= {"_skip_mcp_handler": True}
    return litellm.completion(messages=messages, **told | options)


def case_plain() -> None:
    answer = ask(HELLO)
    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == ANSWER
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (6, "stop")


def case_a_stream_with_usage() -> None:
    chunks = list(ask(HELLO, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert [chunk.usage.completion_tokens for chunk in chunks if getattr(chunk, "usage", None)] == [6]
    whole = litellm.stream_chunk_builder(chunks, messages=HELLO)
    assert whole.choices[0].message.content == ANSWER


def case_a_tool_call_and_its_result() -> None:
    script(WEATHER)
    called = ask(HELLO, tools=[TOOL], tool_choice="auto").choices[0].message
    [call] = called.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Wien"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny in Wien."}
    answer = ask([*HELLO, called.model_dump(), result], tools=[TOOL])
    assert answer.choices[0].message.content == ANSWER
    sent = asked()[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[-1]["content"] == "Sunny in Wien."


def case_a_tool_call_in_a_stream() -> None:
    script(WEATHER)
    chunks = list(ask(HELLO, tools=[TOOL], stream=True))
    [call] = litellm.stream_chunk_builder(chunks, messages=HELLO).choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Wien"})


def case_structured_output() -> None:
    script({"pieces": ['{"name": "Wien", ', '"people": 2000000}']})
    answer = ask(HELLO, response_format=City)
    assert City.model_validate_json(answer.choices[0].message.content).name == "Wien"
    assert asked()[-1]["response_format"]["type"] == "json_schema"


def case_a_wrong_key() -> None:
    error = raised(litellm.AuthenticationError, lambda: ask(HELLO, api_key="sk-wrong"))
    assert error.status_code == 401


def case_rate_limits_are_seen() -> None:
    headers = ask(HELLO)._hidden_params["additional_headers"]
    assert int(headers["x-ratelimit-remaining-requests"]) > 0
    assert int(headers["x-ratelimit-remaining-tokens"]) > 0


if __name__ == "__main__":
    run(dict(globals()))
