"""LangChain (langchain-openai), as its users set it up: a base_url and a key."""

from __future__ import annotations

from typing import Any

import openai
from harness import ANSWER, LIVE, MODEL, WEATHER, asked, raised, run, script
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


def model(**options: Any) -> ChatOpenAI:
    told = {"base_url": LIVE["base_url"], "api_key": LIVE["api_key"], "model": MODEL}
    return ChatOpenAI(**told | options)


def case_plain() -> None:
    answer = model().invoke("Hello?")
    assert answer.content == ANSWER
    assert answer.usage_metadata["output_tokens"] == 6
    assert answer.response_metadata["model_name"] == MODEL
    assert answer.id.startswith("chatcmpl-") or answer.response_metadata["id"].startswith("chatcmpl-")


def case_a_stream_with_usage() -> None:
    whole: Any = AIMessageChunk("")
    chunks = list(model(stream_usage=True).stream("Hello?"))
    for chunk in chunks:
        whole += chunk
    assert len([chunk for chunk in chunks if chunk.content]) == 6
    assert whole.content == ANSWER
    assert whole.usage_metadata["output_tokens"] == 6
    assert whole.response_metadata["finish_reason"] == "stop"


def case_a_tool_call_and_its_result() -> None:
    script(WEATHER)
    able = model().bind_tools([weather])
    turn: list[Any] = [HumanMessage("What is the weather in Wien?")]
    called = able.invoke(turn)
    [call] = called.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Wien"})
    turn += [called, weather.invoke(call)]
    assert isinstance(turn[-1], ToolMessage)
    assert able.invoke(turn).content == ANSWER
    sent = asked()[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[-1]["content"] == "Sunny in Wien."
    assert sent[-1]["tool_call_id"] == sent[1]["tool_calls"][0]["id"]


def case_a_tool_call_in_a_stream() -> None:
    script({"tool_calls": [["weather", '{"city": "Wien"}'], ["weather", '{"city": "Graz"}']]})
    whole: Any = None
    for chunk in model().bind_tools([weather]).stream("And in Graz?"):
        whole = chunk if whole is None else whole + chunk
    assert [call["args"] for call in whole.tool_calls] == [{"city": "Wien"}, {"city": "Graz"}]


def case_structured_output() -> None:
    script({"pieces": ['{"name": "Wien", ', '"people": 2000000}']})
    found = model().with_structured_output(City, method="json_schema").invoke("Name a city.")
    assert found == City(name="Wien", people=2000000)
    assert asked()[-1]["response_format"]["type"] == "json_schema"


def case_responses() -> None:
    """The same client by way of /v1/responses."""
    answer = model(use_responses_api=True).invoke("Hello?")
    assert answer.text == ANSWER
    assert answer.usage_metadata["output_tokens"] == 6
    assert "".join(chunk.text for chunk in model(use_responses_api=True).stream("Hello?")) == ANSWER


def case_a_wrong_key() -> None:
    error = raised(openai.AuthenticationError, lambda: model(api_key="sk-wrong").invoke("Hello?"))
    assert (error.status_code, error.code) == (401, "invalid_api_key")


def case_rate_limits_are_seen() -> None:
    headers = model(include_response_headers=True).invoke("Hello?").response_metadata["headers"]
    assert int(headers["x-ratelimit-remaining-requests"]) > 0
    assert int(headers["x-ratelimit-remaining-tokens"]) > 0


if __name__ == "__main__":
    run(dict(globals()))
