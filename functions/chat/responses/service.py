"""POST /v1/responses: a chat in another shape. Checks, limits, the call, settlement and disclosure are the chat's own
(`Chat.start`); here are the items before it and after it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from chat import receipts
from chat.accounting import Account
from chat.answers import broken
from chat.faults import refusal_of
from chat.generation import Body, Generation, Transcript
from chat.providers.base import Finish, Idle, ProviderBroken
from chat.responses.events import Answering, usage_of
from chat.responses.history import PREFIX, Context, History
from chat.responses.translate import Item, chat_request, full, item_id, of_text, renamed
from chat.responses.wire import ResponseCreate
from chat.service import Answer, Chat, Started
from chat.sse import HEARTBEAT, compact
from chatapi.clock import Clock
from chatapi.errors import ApiError, BadRequest
from chatapi.ids import Family
from chatapi.verdict import Verdict


class Responses:
    """The service. `history` is what is stored; where a request names none of it, nothing of it is read."""

    def __init__(self, chat: Chat, history: History, clock: Clock) -> None:
        self._chat = chat
        self._history = history
        self._clock = clock

    def create(self, request: ResponseCreate, size: int, caller: Verdict, account: Account, timeout: float) -> Answer:
        """Check, call the provider and answer. `size` of the body in bytes, `timeout` in seconds for all of it."""
        context = self._history.context(request, caller)
        given = self._given(request, caller, context)
        if not context.items and not given:
            if request.input is None:
                raise BadRequest("A required parameter is missing.", code="missing_required_parameter", param="input")
            raise BadRequest("The array is empty.", code="empty_array", param="input")
        storing = request.store is True or request.keeps_items
        family = Family.new(self._clock.now())
        numbers = count(1)
        own = [{**item, "id": item_id(item, family.token(next(numbers)))} for item in given]

        def keep(at: Started, transcript: Transcript) -> None:
            assert at.handle
            response["service_tier"] = at.generation.served.tier or "default"
            answering.settle(transcript.finish, usage_of(at.generation.usage()), self._clock.now())
            kept, given_items = answering.response, own
            if at.guard is not None:
                kept, given_items = at.guard.sealed(kept), at.guard.sealed(given_items)
            self._history.keep(at.handle, request, kept, given_items, context, at.now, at.expires)

        try:
            started = self._chat.start(
                chat_request(request, [*context.items, *given], store=storing),
                size + context.size,
                caller,
                account,
                timeout,
                keep=keep,
                kind="response",
                heir=context.subject,
                others=context.subjects,
                until=context.until if request.store is not True else None,
            )
        except ApiError as error:
            raise renamed(error) from None
        generation, headers = started.generation, started.receipt
        response = skeleton(request, PREFIX + family.token(0), int(started.now))
        if (handling := request.data_handling) is not None and (handling.receipt or handling.gpc):
            response["data_handling"] = receipts.body(started.model, started.expires, *started.told, gpc=handling.gpc)
        padded = request.stream_options is not None and request.stream_options.include_obfuscation is True
        answering = Answering(response, lambda: family.token(next(numbers)), padded=padded)
        if request.stream:
            headers["content-type"] = "text/event-stream; charset=utf-8"
            return Answer(headers, Body(_events(generation, answering, self._clock), generation))
        headers["content-type"] = "application/json"
        return Answer(headers, iter([_whole(generation, answering, self._clock)]))

    def _given(self, request: ResponseCreate, caller: Verdict, context: Context) -> list[Item]:
        """The request's own items in full; a referenced one is read and comes in as a copy."""
        if request.input is None or isinstance(request.input, str):
            return [] if request.input is None else [of_text(request.input)]
        return [
            full(item)
            if "role" in item or "type" in item
            else self._history.referenced(caller, item["id"], context, f"input[{index}]")
            for index, item in enumerate(request.input)
        ]


def skeleton(request: ResponseCreate, response_id: str, created: int) -> dict[str, Any]:
    """The response before there is any output. Identifiers of persons are not echoed, and so not kept."""
    wanted = request.model_dump(exclude_none=True)
    text = wanted.get("text", {})
    return {
        "id": response_id,
        "object": "response",
        "access_programs": None,
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "conversation": {"id": request.conversation_id} if request.conversation_id else None,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "model": request.model,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": request.reasoning.effort if request.reasoning else None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "temperature": request.temperature,
        "text": {"format": text.get("format", {"type": "text"}), "verbosity": text.get("verbosity")},
        "tool_choice": wanted.get("tool_choice", "auto"),
        "tools": [
            {"description": None, "parameters": None, "strict": None, **tool} for tool in wanted.get("tools", ())
        ],
        "top_logprobs": 0,
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def _whole(generation: Generation, answering: Answering, clock: Clock) -> bytes:
    try:
        for event in generation.events():
            if isinstance(event, Finish):
                answering.response["service_tier"] = generation.served.tier or "default"
                answering.settle(event.reason, usage_of(generation.usage()), clock.now())
            else:
                answering.add(event)
    except ProviderBroken:
        raise broken() from None
    finally:
        generation.close()
    return compact(answering.response)


def _events(generation: Generation, answering: Answering, clock: Clock) -> Iterator[bytes]:
    yield answering.begin()
    try:
        for event in generation.events():
            if isinstance(event, Finish):
                answering.response["service_tier"] = generation.served.tier or "default"
                answering.settle(event.reason, usage_of(generation.usage()), clock.now())
            elif frames := HEARTBEAT if isinstance(event, Idle) else answering.add(event):
                yield frames
    except Exception as error:  # noqa: BLE001 - a stream that just ends would look like a whole answer to its reader
        yield answering.failed(refusal_of(broken() if isinstance(error, ProviderBroken) else error))
        return
    yield answering.end()
