"""A token reaches the client before the model makes the next one; and who leaves early pays for what was made, no less
and no more.

The scripted model makes token n + 1 only when the client has said that it has token n, so a buffer anywhere on the way
(edge, runtime loop, function) would be a deadlock, not a delay.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import httpx
import pytest
from openai import OpenAI

from tests.support.campaign import FIRST, SCALE, examples
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream

TOKENS = 200
PROMPT = 1
"""What the scripted model counts for a short message."""


def gated(tokens: int, *, usage: bool = True) -> Script:
    return Script(pieces=tuple(f"<{n}>" for n in range(tokens)), gated=True, usage=usage)


def test_each_token_arrives_before_the_next_is_made(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script(gated(TOKENS))
    arrived = []

    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "go"}], stream=True, timeout=10
    ) as stream:
        for chunk in stream:
            delta = chunk.choices[0].delta
            if delta.role:
                assert upstream.requests[0].sent == 0
                upstream.release()
            elif delta.content:
                arrived.append(delta.content)
                assert upstream.requests[0].sent <= len(arrived)  # all that was made is here
                upstream.release()

    assert arrived == [f"<{n}>" for n in range(TOKENS)]


def test_a_frame_is_whole_on_the_wire(live: Live, caller: Caller, upstream: ScriptedUpstream) -> None:
    upstream.script(gated(3))
    frames = []

    with httpx.stream(
        "POST",
        f"{live.base_url}/chat/completions",
        headers={"authorization": f"Bearer {caller.api_key}"},
        json={"model": MODEL, "messages": [{"role": "user", "content": "go"}], "stream": True},
        timeout=10,
    ) as response:
        for part in response.iter_raw():
            frames.append(part)
            upstream.release()

    whole = b"".join(frames)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert all(frame.startswith(b"data: {") for frame in whole.split(b"\n\n")[:-2])
    assert whole.endswith(b"\n\ndata: [DONE]\n\n")
    assert all(part.startswith(b"data: ") and part.endswith(b"\n\n") for part in frames[:4])


@pytest.mark.parametrize("usage", [True, False])
def test_who_leaves_in_mid_stream_pays_for_what_was_made(
    client: OpenAI, upstream: ScriptedUpstream, live: Live, caller: Caller, usage: bool
) -> None:
    # Given a model that would say 200 tokens, and a bound of 40
    upstream.script(gated(TOKENS, usage=usage))

    # When the client has read three of them and goes
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "go"}], stream=True, max_tokens=40
    ) as stream:
        upstream.release(3)
        for _ in zip(range(4), stream, strict=False):
            pass
    assert len(live.item(caller.project)["inf"]) == 1

    # Then the function works on, to its bound, settles, and frees the slot
    upstream.release(TOKENS)
    upstream.wait_for("done")
    assert upstream.requests[0].sent == 40
    settled = live.settled(caller.project)
    if usage:
        assert settled == PROMPT + 40
    else:  # without the model's figures the prompt is estimated from the body's size
        assert PROMPT + 40 <= settled < 40 + 100


@pytest.mark.timeout(600 + 6 * SCALE)
def test_whoever_leaves_after_any_token_pays_for_what_was_made(
    client: OpenAI,
    upstream: ScriptedUpstream,
    live: Live,
    caller: Caller,
    record_property: Callable[[str, object], None],
) -> None:
    rounds = examples(2)
    for seed in range(FIRST, FIRST + rounds):
        # given a model that would say some tokens, a limit that may be lower, and a client that reads k of them
        choose, before = Random(seed), live.settled(caller.project)
        would, limit = choose.randint(1, 80), choose.randint(1, 60)
        read = choose.randrange(min(would, limit))
        upstream.reset()
        upstream.script(gated(would))
        with client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "go"}], stream=True, max_tokens=limit
        ) as stream:
            upstream.release(read)
            for _ in zip(range(read + 1), stream, strict=False):
                pass
        # when it has gone, the function works on to its bound
        upstream.release(would)
        made = upstream.wait_for("done").sent
        # then what is settled is what the model says that it made, and no slot is left (`settled` waits for that)
        assert live.settled(caller.project) - before == PROMPT + made, seed
        assert made == min(would, limit), seed
    record_property("cases", f"{rounds} clients")
