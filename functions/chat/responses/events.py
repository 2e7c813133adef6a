"""A response while it comes into being, and its events in the order that OpenAI's clients depend on.

    created ─▶ in_progress ─▶ for each item: output_item.added ─▶ (content_part.added ─▶) deltas ─▶ … done ─▶
    output_item.done ─▶ completed | incomplete

`sequence_number` counts from 0 without gaps. A failure is `error`, flat, which raises in Node's client, and then
`response.failed`. There is no `[DONE]`: the last event is the end (OpenAI API reference, "Streaming events").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chat.providers.base import Event, FinishReason, Reasoning, Refusal, Sealed, Text, ToolArguments, ToolStart
from chat.responses.translate import Item, item_id
from chat.sse import compact
from chatapi.errors import ApiError
from chatapi.ids import random62

_encode = json.encoder.encode_basestring_ascii
_BLOCK = 32
_GIVEN = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Answering:
    """Takes a provider's events in, gives the response's events out. `token` makes the token of the next item's id.

    What is said ends where a call begins, or where the model turns from thinking to answering, or to declining. Calls
    stay open until the end: servers may send several of them interleaved. `padded`: deltas get a field `obfuscation`,
    so that the size of packets says less of the text.
    """

    def __init__(self, response: dict[str, Any], token: Callable[[], str], *, padded: bool = False) -> None:
        self.response = response
        self._token = token
        self._sequence = 0
        self._items: list[Item] = []
        self._pieces: list[list[str]] = []
        self._logprobs: dict[int, list[dict[str, Any]]] = {}
        self._unfinished: set[int] = set()
        self._message: int | None = None
        self._said = "output_text"
        self._kinds: dict[int, str] = {}
        self._padded = padded
        self._calls: dict[int, int] = {}
        self._text_start = b""
        self._pending = b""

    def begin(self) -> bytes:
        """The first two events."""
        return self._lifecycle("response.created") + self._lifecycle("response.in_progress")

    def add(self, event: Event) -> bytes:
        """What an event of the provider's becomes."""
        match event:
            case Text(text, logprobs):
                return self._say("output_text", text, logprobs)
            case Refusal(text):
                return self._say("refusal", text)
            case Reasoning(text):
                return self._say("reasoning_text", text)
            case Sealed(token):
                return self._seal(token)
            case ToolStart(index, call_id, name, custom):
                end = self._message_done("completed")
                self._calls[index] = len(self._items)
                kind, given = ("custom_tool_call", "input") if custom else ("function_call", "arguments")
                return end + self._open(kind, call_id=call_id, name=name, **{given: ""})
        return self._give(event) if isinstance(event, ToolArguments) else b""

    def _give(self, event: ToolArguments) -> bytes:
        """A piece of what a call is given."""
        at = self._calls[event.index]
        self._pieces[at].append(event.fragment)
        _, kind = _GIVEN[self._items[at]["type"]]
        padding = self._padding(len(event.fragment))
        return self._event(f"{kind}.delta", **self._at(at), delta=event.fragment, **padding)

    def _say(self, kind: str, text: str, logprobs: Sequence[Mapping[str, Any]] = ()) -> bytes:
        """A piece of what answers (`output_text`), declines (`refusal`) or thinks (`reasoning_text`)."""
        start = b""
        if self._message is None or self._said != kind:
            start = self._message_done("completed") + self._open_message(kind)
        assert self._message is not None
        self._pieces[self._message].append(text)
        if logprobs:
            told = [_logprob(token) for token in logprobs]
            self._logprobs.setdefault(self._message, []).extend(told)
            where = {**self._at(self._message), "content_index": 0, "logprobs": _without_bytes(told)}
            return start + self._event("response.output_text.delta", **where, delta=text, **self._padding(len(text)))
        frame = self._text_start + b"%d" % self._sequence + b',"delta":' + _encode(text).encode()
        if self._padded:
            frame += b',"obfuscation":' + compact(self._padding(len(text))["obfuscation"])
        self._sequence += 1
        return start + frame + b"}\n\n"

    def _seal(self, token: str) -> bytes:
        """The end of a thought that its provider signed; one that it tells nobody is an item without content."""
        if self._message is not None and self._said == "reasoning_text":
            self._items[self._message]["encrypted_content"] = token
            return self._message_done("completed")
        end = self._message_done("completed")
        added = self._open("reasoning", summary=[], content=[], encrypted_content=None)
        at = len(self._items) - 1
        self._items[at].update(status="completed", encrypted_content=token)
        self._unfinished.discard(at)
        return end + added + self._event("response.output_item.done", output_index=at, item=self._items[at])

    def _padding(self, size: int) -> dict[str, str]:
        return {"obfuscation": random62(-size % _BLOCK)} if self._padded else {}

    def settle(self, reason: FinishReason, usage: Mapping[str, Any], now: float) -> None:
        """Make the response what it is at its end, before the last events are sent: so it is stored. Once. `usage` in
        the shape of a response."""
        if self.response["status"] != "in_progress":
            return
        if all(item["type"] == "reasoning" for item in self._items):
            self._pending = self._message_done("completed") + self._open_message("output_text")
        why = _INCOMPLETE.get(reason)
        self._fill("incomplete" if why else "completed")
        self.response["status"] = "incomplete" if why else "completed"
        self.response["completed_at"] = None if why else int(now)
        self.response["incomplete_details"] = {"reason": why} if why else None
        self.response["output"] = self._items
        self.response["usage"] = usage

    def end(self) -> bytes:
        """The last events, of a response that is settled."""
        out = [self._pending, self._message_done()]
        for at in self._calls.values():
            item = self._items[at]
            name, kind = _GIVEN[item["type"]]
            out.append(self._event(f"{kind}.done", **self._at(at), **{name: item[name]}))
            out.append(self._event("response.output_item.done", output_index=at, item=item))
        out.append(self._lifecycle("response." + self.response["status"]))
        return b"".join(out)

    def failed(self, error: ApiError) -> bytes:
        """The end of a stream that failed: what came until then stands in the response, as incomplete."""
        self._fill("incomplete")
        told = {"code": "server_error", "message": error.message}
        self.response.update(
            status="failed", output=self._items, error=told, usage=None, completed_at=None, incomplete_details=None
        )
        flat = self._event("error", code=error.code, message=error.message, param=error.param)
        return flat + self._lifecycle("response.failed")

    def _fill(self, status: str) -> None:
        for at in self._unfinished:
            item, text = self._items[at], "".join(self._pieces[at])
            if "status" in item:  # a custom call has none
                item["status"] = status
            if item["type"] in _GIVEN:
                item[_GIVEN[item["type"]][0]] = text
            else:
                item["content"] = [_part(self._kinds[at], text, self._logprobs.get(at, []))]
        self._unfinished.clear()

    def _open(self, kind: str, **fields: Any) -> bytes:
        item = {"type": kind, **fields} | ({} if kind == "custom_tool_call" else {"status": "in_progress"})
        item["id"] = item_id(item, self._token())
        self._unfinished.add(len(self._items))
        self._items.append(item)
        self._pieces.append([])
        return self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _open_message(self, kind: str) -> bytes:
        self._said = self._kinds[len(self._items)] = kind
        if kind == "reasoning_text":
            added = self._open("reasoning", summary=[], content=[], encrypted_content=None)
        else:
            added = self._open("message", role="assistant", content=[])
        self._message = at = len(self._items) - 1
        where = {**self._at(at), "content_index": 0} | ({"logprobs": []} if kind == "output_text" else {})
        name = f"response.{kind}.delta"
        head = compact({"type": name, **where})
        # The frame around a text is the same for all of an item: a token then costs one encoding of its text.
        self._text_start = b"event: " + name.encode() + b"\ndata: " + head[:-1] + b',"sequence_number":'
        return added + self._event("response.content_part.added", **self._at(at), content_index=0, part=_part(kind, ""))

    def _message_done(self, status: str | None = None) -> bytes:
        """The end of the message that is open, if one is; with `status` where it was not settled yet."""
        at, self._message = self._message, None
        if at is None:
            return b""
        if status:
            part = _part(self._kinds[at], "".join(self._pieces[at]), self._logprobs.get(at, []))
            self._items[at].update(status=status, content=[part])
            self._unfinished.discard(at)
        item = self._items[at]
        [part] = item["content"]
        where = {**self._at(at), "content_index": 0}
        if part["type"] == "refusal":
            done = self._event("response.refusal.done", **where, refusal=part["refusal"])
        elif part["type"] == "reasoning_text":
            done = self._event("response.reasoning_text.done", **where, text=part["text"])
        else:
            told = _without_bytes(part["logprobs"])
            done = self._event("response.output_text.done", **where, text=part["text"], logprobs=told)
        return (
            done
            + self._event("response.content_part.done", **where, part=part)
            + self._event("response.output_item.done", output_index=at, item=item)
        )

    def _at(self, at: int) -> dict[str, Any]:
        return {"item_id": self._items[at]["id"], "output_index": at}

    def _lifecycle(self, kind: str) -> bytes:
        return self._event(kind, response=self.response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = compact({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _part(kind: str, text: str, logprobs: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    if kind == "reasoning_text":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    """A token of a chat completion as that of a response, whose bytes are never null."""
    told = {"top_logprobs": [_logprob(other) for other in token["top_logprobs"]]} if "top_logprobs" in token else {}
    raw = token["bytes"]
    return {
        "token": token["token"],
        "bytes": list(token["token"].encode(errors="replace")) if raw is None else raw,
        "logprob": token["logprob"],
        **told,
    }


def _without_bytes(tokens: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As the events have them."""
    return [
        {"token": token["token"], "logprob": token["logprob"]}
        | ({"top_logprobs": _without_bytes(token["top_logprobs"])} if "top_logprobs" in token else {})
        for token in tokens
    ]


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """`usage` of a chat completion as that of a response."""
    prompt, completion = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": prompt["cached_tokens"],
            "cache_write_tokens": prompt.get("cache_write_tokens", 0),
        },
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": completion["reasoning_tokens"]},
        "total_tokens": usage["total_tokens"],
    }
