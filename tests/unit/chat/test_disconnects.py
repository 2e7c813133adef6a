"""A client that leaves after k tokens: settled is what was generated, never above the limit, and no slot stays."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers.base import Finish, ProviderBroken, Text, Usage
from tests.support.campaign import examples
from tests.support.chat_world import World

PROMPT = 9
LIMIT = 300


@given(st.integers(0, LIMIT), st.integers(1, LIMIT), st.booleans())
@settings(max_examples=examples(2), deadline=None)
def test_what_was_generated_is_settled(read: int, made: int, told: bool) -> None:
    # given a provider that makes `made` tokens, and a connection that breaks once `read` of them were written
    world = World()
    usage = [Usage(PROMPT, made)] if told else []
    world.provider.add([*[Text("t")] * made, Finish("stop"), *usage])
    answer = world.ask(stream=True, max_tokens=LIMIT)
    estimate = _estimate(world)
    body = answer.body
    for _ in zip(range(read + 1), body, strict=False):  # the role comes first
        pass
    body.close()  # type: ignore[attr-defined]
    # then the tokens that were made are settled, to the token
    (stream,) = world.provider.streams
    generated = min(stream.delivered, made)
    ended = stream.delivered > made
    expected = PROMPT + made if told and ended else estimate + generated
    assert world.used() == expected
    assert world.slots() == 0
    assert generated <= LIMIT
    assert stream.closed
    assert [(row["requests"], row["tokens_out"]) for row in world.day_rows()] == [(1, generated)]


@given(st.integers(0, LIMIT), st.booleans())
@settings(max_examples=examples(2), deadline=None)
def test_a_provider_that_breaks_off_is_settled_like_a_client_that_leaves(made: int, stream: bool) -> None:
    world = World()
    world.provider.add([*[Text("t")] * made, ProviderBroken()])
    try:
        b"".join(world.ask(stream=stream, max_tokens=LIMIT).body)
    except Exception:
        assert not stream
    assert world.used() == _estimate(world) + made
    assert world.slots() == 0


def _estimate(world: World) -> int:
    """The estimate of the prompt: a token for each four bytes of the body."""
    return world.size // 4
