"""What a schema cannot say of a conversation: who has to say something, and that calls and results belong together.

OpenAI refuses these as well; a model here would answer them anyhow, or its provider would refuse with a text that we
do not pass on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatapi.errors import BadRequest


def check(messages: Sequence[Mapping[str, Any]]) -> None:
    """BadRequest for a message without content where its role needs one, a tool's message that answers no call of the
    assistant's message before it, and calls that are not answered."""
    called: set[str] = set()
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        role = message["role"]
        if role != "assistant" and message.get("content") is None:
            param = f"messages[{index}].content"
            raise BadRequest("A required parameter is missing.", code="missing_required_parameter", param=param)
        if role == "tool":
            if message.get("tool_call_id") not in called:
                param = f"messages[{index}].tool_call_id"
                said = "A tool's message answers a call of the assistant's message before it."
                raise BadRequest(said, code="invalid_value", param=param)
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            raise _unanswered(index)
        if called:
            called = set()
        if role == "assistant" and message.get("tool_calls"):
            called = {call["id"] for call in message["tool_calls"]}
            waiting = set(called)
    if waiting:
        raise _unanswered(len(messages))


def _unanswered(index: int) -> BadRequest:
    said = "Each call of an assistant's message is answered by a tool's message, before anything else is said."
    return BadRequest(said, code="invalid_value", param=f"messages[{index}]")
