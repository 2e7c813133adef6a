"""The test suite's own upstream, driven from outside as the end-to-end tests drive it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.scripted_upstream", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("ready http://127.0.0.1:")
            yield int(ready.split(":")[2].removesuffix("/v1\n"))
        finally:
            process.terminate()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chat(port: int, **more: Any) -> tuple[int, bytes]:
    body = {"model": "m", "messages": [{"role": "user", "content": "canary words here"}], **more}
    return ask(port, "POST", "/v1/chat/completions", body)


@pytest.fixture(autouse=True)
def fresh(port: int) -> None:
    ask(port, "POST", "/_reset", {})


def test_without_a_script_it_answers_and_remembers(port: int) -> None:
    status, body = chat(port)
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "Hello from the scripted upstream."
    (received,) = json.loads(ask(port, "GET", "/_requests")[1])
    assert received["body"]["messages"][0]["content"] == "canary words here"
    assert received["outcome"] == "done"


def test_scripts_are_queued_and_released_over_http(port: int) -> None:
    ask(port, "POST", "/_script", [{"echo": True, "gated": True}, {"status": 500}, {"tool_calls": [["f", "{}"]]}])
    ask(port, "POST", "/_release", {"count": 3})
    status, body = chat(port, stream=True, stream_options={"include_usage": True})
    assert status == 200
    assert body.endswith(b"data: [DONE]\n\n")
    frames = [json.loads(line[6:]) for line in body.split(b"\n\n")[:-2]]
    said = "".join(choice["delta"].get("content", "") for frame in frames for choice in frame["choices"])
    assert said == "canary words here "
    assert frames[-1]["usage"]["completion_tokens"] == 3
    assert chat(port)[0] == 500
    assert json.loads(chat(port)[1])["choices"][0]["finish_reason"] == "tool_calls"


def test_max_tokens_cuts_the_answer(port: int) -> None:
    choice = json.loads(chat(port, max_tokens=2)[1])["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello from", "length")


def test_a_reset_gives_no_answer(port: int) -> None:
    ask(port, "POST", "/_script", {"reset": True})
    with pytest.raises(ConnectionError):
        chat(port)


def test_a_cut_stream_has_no_end(port: int) -> None:
    ask(port, "POST", "/_script", {"pieces": ["a", "b"], "cut_after": 1})
    with pytest.raises(http.client.IncompleteRead):
        chat(port, stream=True)
