"""An answer on the wire: one completion, or its stream of events, in OpenAI's shapes. Extra fields of ours are named in
docs/chat.md and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chat import sse
from chat.faults import refusal_of
from chat.generation import Generation
from chat.providers.base import (
    CallMissing,
    Choice,
    Finish,
    Idle,
    ProviderBroken,
    Refusal,
    Served,
    Text,
    ToolArguments,
    ToolStart,
)
from chatapi.errors import Unavailable


def completion(head: dict[str, Any], generation: Generation) -> dict[str, Any]:
    """The completion as it stands. `head`: id, created, model."""
    return {
        **head,
        "object": "chat.completion",
        "choices": [transcript.choice(index) for index, transcript in enumerate(generation.transcripts)],
        "usage": generation.usage(),
        "service_tier": generation.served.tier or "default",
        "system_fingerprint": generation.served.fingerprint,
    }


def whole(generation: Generation, head: dict[str, Any], extra: dict[str, Any]) -> bytes:
    """Run it to its end; the completion as JSON, with `extra` fields. Raises ApiError."""
    try:
        for _ in generation.events():
            pass
    except ProviderBroken as error:
        raise broken(error) from None
    finally:
        generation.close()
    return sse.compact({**completion(head, generation), **extra})


def stream(generation: Generation, frames: sse.Frames, *, usage: bool, extra: dict[str, Any]) -> Iterator[bytes]:
    """Its events as they come. What fails from here on is an error event: the status is committed."""
    yield frames.role(extra)
    try:
        for event in generation.events():
            match event:
                case Text(text, logprobs):
                    yield frames.text(text, logprobs)
                case ToolArguments(index, fragment):
                    yield frames.tool_arguments(index, fragment)
                case ToolStart(index, call_id, name, custom):
                    yield frames.tool_start(index, call_id, name, custom=custom)
                case Refusal(text):
                    yield frames.refusal(text)
                case Choice(index):
                    frames.choose(index)
                    yield frames.role()
                case Finish(reason):
                    yield frames.finish(reason)
                case Idle():
                    yield sse.HEARTBEAT
                case Served(fingerprint, tier):
                    frames.served(fingerprint, tier)
    except Exception as error:  # noqa: BLE001 - a stream that just ends would look like a whole answer to its reader
        refusal = refusal_of(broken(error) if isinstance(error, ProviderBroken) else error)
        yield sse.error(refusal.payload())
        return
    if usage:
        yield frames.usage(generation.usage())
    yield sse.DONE


def plain(kept: dict[str, Any]) -> dict[str, Any]:
    """A stored completion as it was answered: without what only stored ones have."""
    names = ("id", "created", "model", "object", "choices", "usage", "service_tier", "system_fingerprint")
    return {name: kept[name] for name in names}


def restream(kept: dict[str, Any], *, usage: bool) -> Iterator[bytes]:
    """A stored completion as a stream, each text in one piece."""
    frames = sse.Frames(kept["id"], kept["created"], kept["model"], usage=usage)
    frames.served(kept["system_fingerprint"], kept["service_tier"])
    for choice in kept["choices"]:
        frames.choose(choice["index"])
        yield frames.role()
        message = choice["message"]
        if message["content"]:
            yield frames.text(message["content"], (choice["logprobs"] or {}).get("content") or ())
        if message["refusal"]:
            yield frames.refusal(message["refusal"])
        for index, call in enumerate(message.get("tool_calls", ())):
            custom = call["type"] == "custom"
            called = call[call["type"]]
            yield frames.tool_start(index, call["id"], called["name"], custom=custom)
            yield frames.tool_arguments(index, called["input" if custom else "arguments"])
        yield frames.finish(choice["finish_reason"])
    if usage:
        yield frames.usage(kept["usage"])
    yield sse.DONE


def broken(error: ProviderBroken) -> Unavailable:
    """What is said of a stream that the provider broke off, or ended without the call that was demanded."""
    if isinstance(error, CallMissing):
        return Unavailable("The model ended without the call that tool_choice demands. What was used is settled.")
    return Unavailable("The model stopped before it had finished. What was used is settled. Try again.")
