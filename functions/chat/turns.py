"""What a schema cannot say of a conversation: who has to say something, and that calls and results belong together.

OpenAI refuses these as well; a model here would answer them anyhow, or its provider would refuse with a text that we
do not pass on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatapi.errors import BadRequest


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """BadRequest for a message without content where its role needs one, a tool's message that answers no call of the
    assistant's message before it, and calls that are not answered."""
    called: set[str] = set()
    waiting: set[str] = set()
    caller = 0
    for index, message in enumerate(messages):
        role = message["role"]
        if message.get("content") is None and (role != "assistant" or _says_nothing(message)):
            param = f"messages[{index}].content"
            raise BadRequest("A required parameter is missing.", code="missing_required_parameter", param=param)
        if role == "tool":
            if message.get("tool_call_id") not in called:
                said = "A tool's message answers a call of the assistant's message before it."
                raise BadRequest(said, code="invalid_value", param=f"messages[{index}].tool_call_id")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            break
        called = {call["id"] for call in message.get("tool_calls") or ()} if role == "assistant" else set()
        waiting, caller = set(called), index
    if waiting:
        said = "Each call is answered by a tool's message, before anything else is said."
        raise BadRequest(said, code="invalid_value", param=f"messages[{caller}].tool_calls")


def _says_nothing(message: Mapping[str, Any]) -> bool:
    """Of an assistant's message without a content: null is taken, as clients send it for an answer without a text."""
    return "content" not in message and not message.get("tool_calls") and not message.get("refusal")


def check_items(items: Iterable[Mapping[str, Any]]) -> None:
    """The same of a response's items, where results may come in whichever order after their calls."""
    called: set[str] = set()
    answered: set[str] = set()
    for item in items:
        if item["type"].endswith("_call"):
            called.add(item["call_id"])
        elif item["type"].endswith("_call_output"):
            if item["call_id"] not in called:
                raise BadRequest("A tool's result has no call before it.", code="invalid_value", param="input")
            answered.add(item["call_id"])
    if called != answered:
        raise BadRequest("A tool's call has no result.", code="invalid_value", param="input")
