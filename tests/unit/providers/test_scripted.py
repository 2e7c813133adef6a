"""The scripted provider: events, failures and gates, in the order of the script."""

from __future__ import annotations

import pytest

from chat.providers.base import (
    Call,
    Finish,
    Provider,
    ProviderBroken,
    ProviderMisconfigured,
    ProviderUnavailable,
    Stream,
    Text,
    Usage,
)
from chat.providers.scripted import ScriptedProvider, answer

CALL = Call("m", ({"role": "user", "content": "x"},), 5)


def test_scripts_are_played_in_turn_and_then_none_is_left() -> None:
    scripted = ScriptedProvider(ProviderMisconfigured(), answer("a", "b"))
    provider: Provider = scripted
    with pytest.raises(ProviderMisconfigured):
        provider.open(CALL, timeout=1)
    stream: Stream = provider.open(CALL, timeout=1)
    assert list(stream) == [Text("a"), Text("b"), Finish("stop"), Usage(1, 2)]
    with pytest.raises(ProviderUnavailable):
        provider.open(CALL, timeout=1)
    assert scripted.calls == [CALL] * 3
    assert scripted.streams[0].delivered == 4


def test_a_failure_after_some_events() -> None:
    provider = ScriptedProvider()
    provider.add((Text("a"), ProviderBroken(), Text("never")))
    events = iter(provider.open(CALL, timeout=1))
    assert next(events) == Text("a")
    with pytest.raises(ProviderBroken):
        next(events)


def test_gates_hold_events_back_and_closing_ends_the_stream() -> None:
    passed: list[str] = []
    provider = ScriptedProvider((lambda: passed.append("gate"), Text("a"), lambda: passed.append("late"), Text("b")))
    stream = provider.open(CALL, timeout=1)
    events = iter(stream)
    assert passed == []
    assert next(events) == Text("a")
    assert passed == ["gate"]
    stream.close()
    assert list(events) == []
    assert passed == ["gate"]
    assert provider.streams[0].closed
