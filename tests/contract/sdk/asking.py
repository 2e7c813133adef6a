"""How the tests of openai-python ask, and what they look at in a refusal."""

from __future__ import annotations

from typing import Any

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tests.support.live_stack import MODEL

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello?"}]


def chat(client: OpenAI, **changes: Any) -> ChatCompletion:
    """A short chat, with changes."""
    completion: ChatCompletion = client.chat.completions.create(**({"model": MODEL, "messages": HELLO} | changes))
    return completion


def shape(error: openai.APIStatusError) -> tuple[int, str | None, str | None, str | None]:
    """Status, type, code and param, once the body has its four keys and the request its id."""
    body = error.body
    assert isinstance(body, dict)
    assert body.keys() == {"message", "type", "param", "code"}
    assert error.response.headers["x-request-id"] == error.request_id
    return error.status_code, error.type, error.code, error.param
