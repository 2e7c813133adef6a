"""What a stream remembers: nothing of an answer that nobody stores, and the account is the same."""

from __future__ import annotations

from typing import Any

import pytest

from chat.accounting import Account
from chat.generation import Generation
from chat.providers.base import Choice, Finish, Reasoning, Refusal, Text, ToolArguments, ToolStart, Usage
from chatapi.verdict import Verdict

EVENTS = [
    Text("one"),
    Text("two", ({"token": "two"},)),
    Reasoning("hm"),
    Refusal("no"),
    ToolStart(0, "call", "f"),
    ToolArguments(0, "{}"),
    Finish("tool_calls"),
    Choice(1),
    Text("three"),
    Finish("length"),
    Usage(7, 9),
]


class Upstream(list[Any]):
    def close(self) -> None:
        """Nothing runs."""


def generation(disclosed: list[tuple[int, ...]]) -> Generation:
    def disclose(*tokens: int) -> None:
        disclosed.append(tokens)

    account = Account(None, "", Verdict("p", "k1"))  # type: ignore[arg-type]
    return Generation(Upstream(EVENTS), account, 5, keep=lambda _: None, disclose=disclose)


@pytest.mark.parametrize("forgets", [False, True])
def test_a_stream_that_forgets_counts_and_passes_on_the_same(forgets: bool) -> None:
    disclosed: list[tuple[int, ...]] = []
    running = generation(disclosed)
    if forgets:
        running.forget()
    events = list(running.events())
    assert [event for event in events if not isinstance(event, Finish)] == [
        event for event in EVENTS if not isinstance(event, (Finish, Usage))
    ]
    assert [event.reason for event in events if isinstance(event, Finish)] == ["tool_calls", "length"]
    assert running.tokens() == (5 + 7, 6 + 9)
    assert len(disclosed) == 1
    (call,) = running.transcript.message()["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": "" if forgets else "{}"}
    texts = [(t.text, t.logprobs, t.refusal) for t in running.transcripts]
    assert texts == (
        [([], [], [])] * 2 if forgets else [(["one", "two"], [{"token": "two"}], ["no"]), (["three"], [], [])]
    )
