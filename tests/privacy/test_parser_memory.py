"""The parsers keep nothing of one request for the next: by default pydantic's keeps short texts for the process."""

from __future__ import annotations

import importlib
import pkgutil

from pydantic import BaseModel

import chat
import chatapi.strict
from chat import wire
from chat.providers.openai_http import _chunk
from chat.requests import ChatRequest


def models(of: type[BaseModel]) -> list[type[BaseModel]]:
    return [of, *(found for below in of.__subclasses__() for found in models(below))]


def test_no_model_of_a_body_keeps_texts() -> None:
    for module in pkgutil.walk_packages(chat.__path__, "chat."):
        importlib.import_module(module.name)
    ours = [m for m in models(BaseModel) if m.__module__.startswith(("chat.", "chatapi.", "privacy.", "account."))]
    assert chatapi.strict.Strict in ours
    assert wire.ChatRequest in ours
    assert [m.__name__ for m in ours if m.model_config.get("cache_strings") != "none"] == []


def test_a_prompt_is_not_found_again_in_the_next_request() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "I am ill"}], "metadata": {"a key": "a value"}}'
    one, two = ChatRequest.model_validate_json(body), ChatRequest.model_validate_json(body)
    assert one.messages[0]["content"] is not two.messages[0]["content"]
    assert one.metadata
    assert two.metadata
    assert one.metadata["a key"] is not two.metadata["a key"]
    assert next(iter(one.metadata)) is not next(iter(two.metadata))


def test_an_answer_is_not_found_again_in_the_next_one() -> None:
    chunk = b'{"choices": [{"delta": {"content": "you are ill"}}]}'
    one, two = (_chunk(chunk)["choices"][0]["delta"]["content"] for _ in range(2))
    assert one == two
    assert one is not two
