"""A provider that is silent: signs of life for the caller, and nothing that has arrived is held back."""

from __future__ import annotations

import pytest

from chat.providers import silence
from chat.providers.base import Finish, Idle, ProviderBroken, Text
from chat.sse import HEARTBEAT
from tests.support.chat_world import World
from tests.support.openai_server import at
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream
from tests.unit.providers.test_openai_http import CALL


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "HEARTBEAT_SECONDS", 0.02)


def test_a_silent_provider_is_idle_until_it_goes_on() -> None:
    with ScriptedUpstream() as upstream:
        upstream.script(Script(pieces=("a", "b"), gated=True))
        events = iter(at(upstream.base_url).open(CALL, timeout=20))
        # given two signs of life, when the provider goes on, then its piece comes next or after one more sign
        assert [next(events), next(events)] == [Idle(), Idle()]
        upstream.release(2)
        rest = [event for event in events if not isinstance(event, Idle)]
        assert rest[:3] == [Text("a"), Text("b"), Finish("stop")]


def test_a_silence_has_an_end() -> None:
    with ScriptedUpstream() as upstream:
        upstream.script(Script(pieces=("a",), gated=True))
        stream = at(upstream.base_url, read_timeout=0.1).open(CALL, timeout=20)
        seen: list[object] = []
        with pytest.raises(ProviderBroken):
            seen.extend(stream)
        assert Idle() in seen


def test_a_sign_of_life_is_a_comment_and_no_part_of_the_answer() -> None:
    world = World()
    world.provider.add([Idle(), Text("a"), Idle(), Finish("stop")])
    chunks = list(world.ask(stream=True).body)
    assert chunks.count(HEARTBEAT) == 2
    assert HEARTBEAT.startswith(b":")
    assert world.slots() == 0
    assert world.day_rows()[0]["tokens_out"] == 1
