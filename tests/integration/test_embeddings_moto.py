"""Embeddings by openai-python through authorizer and chat function, on the real template and a scripted upstream."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

from tests.integration.test_chat_moto import item
from tests.support import openai_types
from tests.support.deployed import InProcess
from tests.support.embedding_model import EMBEDDER, offer
from tests.support.scripted_answers import vector


def client(functions: InProcess, key: str, seen: list[httpx.Response]) -> openai.OpenAI:
    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        status, headers, content = functions.run(key, request.method, request.url.path, body)
        seen.append(httpx.Response(status, headers=headers, content=content))
        return seen[-1]

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key=key, base_url="http://api.test/v1", http_client=http, max_retries=0)


def test_openai_python_embeds_in_both_formats(functions: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a project, and a model that embeds
    offer(monkeypatch)
    project, key = functions.project()
    seen: list[httpx.Response] = []
    api = client(functions, key, seen)
    # when it is asked as the SDK does by itself, in base64, and for numbers
    packed = api.embeddings.create(model=EMBEDDER, input=["one", "three"], user="u", dimensions=3)
    plain = api.embeddings.create(model=EMBEDDER, input=[[1, 2, 3], [4]], encoding_format="float")
    # then both are the upstream's numbers, of the strict type
    assert [one.embedding for one in packed.data] == [vector("one", 3), vector("three", 3)]
    assert [one.embedding for one in plain.data] == [vector([1, 2, 3], 4), vector([4], 4)]
    assert isinstance(json.loads(seen[0].content)["data"][0]["embedding"], str)
    openai_types.embeddings(json.loads(seen[1].content))
    for answer in seen:
        assert answer.headers["data-handling"].startswith("retained=none; processor=local-model")
        assert "x-ratelimit-remaining-tokens" in answer.headers
    # and just what was used is debited, the slot is free
    state, used = item(functions, project), packed.usage.total_tokens + plain.usage.total_tokens
    assert "inf" not in state
    assert {100_000 - v for k, v in state.items() if k.startswith("t0_")} == {used}


def test_a_chat_model_does_not_embed(functions: InProcess) -> None:
    _, key = functions.project()
    with pytest.raises(openai.BadRequestError) as caught:
        client(functions, key, []).embeddings.create(model="smollm2-135m", input="a")
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "model")
