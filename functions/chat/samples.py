"""A chat as a sample for improvement (COL-1, USE-3): redacted, sealed under the person's key, for thirty days at most.

Kept only where the project takes part, the person's own choice allows it, and no ceiling of request, key or project
forbids to keep content. What cannot be redacted (images, files, audio) is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chatapi.catalogue import read_policy
from chatapi.ids import random62

if TYPE_CHECKING:
    from chatapi.store.records import Records
    from chatapi.verdict import Verdict

KIND = "sample"
Redact = Callable[[dict[str, Any]], dict[str, Any]]
"""A JSON value without the values that tell who somebody is. Any exception: it could not be redacted."""


class Samples:
    """Keeps samples. `records` is the one way in for personal data."""

    def __init__(self, records: Records, redact: Redact) -> None:
        self._records = records
        self._redact = redact

    def keep(
        self,
        caller: Verdict,
        subject: str,
        chat: dict[str, Any],
        until: int,
        allowed: Callable[[], bool],
    ) -> None:
        """Write `chat`, redacted, until then; take it back where it is not `allowed` any more when it stands.
        SubjectFrozen during an erasure; whatever the redaction, the vault or the store raises: then nothing is kept."""
        body = {**self._redact(chat), "policy": read_policy("versions")["current"]}
        name = "smp_" + random62(24)
        handle = self._records.writer(caller.project, subject, key=caller.key)
        self._records.put(handle, KIND, [(name, json.dumps(body, ensure_ascii=False).encode())], until=until)
        if not allowed():
            self._records.delete(handle, KIND, name)


class NotASample(ValueError):
    """There is more in the chat than text, which cannot be redacted."""


def is_text(message: Mapping[str, Any]) -> bool:
    """Whether there is text and nothing else in a message."""
    content = message.get("content")
    return not isinstance(content, list) or all(part["type"] == "text" for part in content)


def redacted(chat: dict[str, Any]) -> dict[str, Any]:
    """A chat as a sample: roles, texts and calls, with a placeholder for each value of every kind that is known. Names
    of speakers and ids of calls are the caller's own words, and stay out. NotASample, or what the detection raises."""
    from chat.redaction.storing import replaced
    from chatapi.redaction import KINDS

    plain = {
        "model": chat["model"],
        "messages": [_plain(message) for message in chat["messages"]],
        "answers": [_plain(message) for message in chat["answers"]],
    }
    return replaced(plain, KINDS)


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    if not is_text(message):
        raise NotASample
    content = message.get("content") or message.get("refusal") or ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    return {"role": message["role"], "content": "\n".join(part["text"] for part in parts), "calls": calls}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    if call["type"] == "custom":
        return {"custom": call["custom"]["name"], "input": call["custom"]["input"]}
    return {"function": call["function"]["name"], "arguments": call["function"]["arguments"]}
