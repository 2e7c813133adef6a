"""A chat as the two functions behind one request run it: authorizer, then chat function, its body drained."""

from __future__ import annotations

import contextlib
import json
import os
import time
import tracemalloc
from collections.abc import Callable

from benchmarks import bare, stubs, world

_COUNTED = 20
_SHORT, _LONG = 800, 8000
"""Tokens of the streams whose memory is compared; no more than the local model's context."""


def measure() -> dict[str, float]:
    """The `chat.*` figures but the first token."""
    # The functions log to stdout, as on Lambda; the line is written and paid for, and goes nowhere.
    with stubs.running() as servers, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        world.enter(servers)
        whole = _chat(world.chat_body(20))
        stored = _chat(world.chat_body(20, store=True))
        short, long = (_chat(world.chat_body(tokens, stream=True)) for tokens in (20, 220))
        whole()  # connections made, secrets read
        cpu, bare_calls = world.cpu_seconds(whole, bare.bare(servers.url, whole))
        plain, redacted = world.cpu_seconds(_chat(_letter(redact=False)), _chat(_letter(redact=True)))
        few, many = world.cpu_seconds(short, long)
        memory = _stream_memory()
        stored()  # a warm function has the subject's key
        return {
            "chat.cpu_ms": cpu * 1e3,
            "chat.vs_bare_calls": cpu / bare_calls,
            "chat.per_token_us": (many - few) / 200 * 1e6,
            "chat.redaction_added_ms": (redacted - plain) * 1e3,
            "chat.stream_memory_kb": memory,
            **_calls(servers, whole, "chat.calls"),
            **_calls(servers, stored, "chat.stored.calls"),
        }


def _letter(*, redact: bool) -> str:
    """A chat with a prompt of 2,000 characters, some of which are values."""
    line = "I am writing about order 20231 of 2024-01-15; reply to jane.doe@example.com or +49 30 901820, please. "
    body = json.loads(world.chat_body(20, prompt=(line * 20)[:2000]))
    return json.dumps({**body, "data_handling": {"redact": redact}})


def _stream_memory() -> float:
    """KiB that a long stream holds at its height beyond a short one, unstored. Its pieces are let go as they come."""
    heights = []
    for tokens in (_SHORT, _LONG):
        stream = _chat(world.chat_body(tokens, stream=True), whole=False)
        stream()
        tracemalloc.start()
        stream()
        heights.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (heights[1] - heights[0]) / 1024


def _chat(body: str, *, whole: bool = True) -> Callable[[], None]:
    import authorizer.handler as authorizer
    from chat.handler import handler
    from chatapi_runtime import Context

    question = world.authorizer_event(body)

    def chat() -> None:
        policy = authorizer.handler(question, None)
        event = {**question, "body": body, "isBase64Encoded": False}
        event["requestContext"] = {**question["requestContext"], "authorizer": policy["context"]}
        response = handler(event, Context("request", int(time.time() * 1000) + 900_000, "arn"))
        prelude, answer = response.prelude(), b""
        if whole:
            answer = b"".join(response.body)
        else:
            for piece in response.body:
                answer = answer if b" word" in answer else piece
        if response.status != 200 or not prelude or b" word" not in answer:
            raise SystemExit("the chat was not answered")

    return chat


def _calls(servers: stubs.Stubs, chat: Callable[[], None], name: str) -> dict[str, float]:
    servers.calls()
    for _ in range(_COUNTED):
        chat()
    calls = servers.calls()
    if calls["secretsmanager"]:
        raise SystemExit("a warm function read a secret")
    return {f"{name}.{service}": calls[service] / _COUNTED for service in ("dynamodb", "kms")}
