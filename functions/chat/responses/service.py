"""POST /v1/responses: a chat in another shape. Checks, limits, the call, settlement and disclosure are the chat's own
(`Chat.start`); here are the items before it and after it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, TypeGuard

from chat import receipts
from chat.accounting import Account
from chat.answers import broken
from chat.faults import refusal_of
from chat.generation import Body, Generation, Transcript
from chat.providers.base import Finish, FinishReason, Idle, ProviderBroken
from chat.redaction import guarded
from chat.replays import Claim, Replays
from chat.responses.events import Answering, usage_of
from chat.responses.history import PREFIX, Context, History
from chat.responses.shapes import ItemReference
from chat.responses.stored import replayed
from chat.responses.translate import Item, chat_request, full, item_id, of_text, renamed
from chat.responses.truncation import fitting
from chat.responses.wire import ResponseCreate
from chat.service import Chat
from chat.sse import HEARTBEAT, compact
from chat.started import Answer, Started
from chatapi.clock import Clock
from chatapi.errors import ApiError, BadRequest
from chatapi.ids import Family
from chatapi.verdict import Verdict

_TOOLS: dict[str, dict[str, Any]] = {
    "function": {"description": None, "parameters": None, "strict": None},
    "custom": {"description": None, "format": {"type": "text"}},
}


class Responses:
    """The service. `history` is what is stored; where a request names none of it, nothing of it is read."""

    def __init__(self, chat: Chat, history: History, replays: Replays, clock: Clock) -> None:
        self._chat = chat
        self._history = history
        self._replays = replays
        self._clock = clock

    def create(
        self,
        request: ResponseCreate,
        body: bytes,
        caller: Verdict,
        account: Account,
        timeout: float,
        key: str | None = None,
    ) -> Answer:
        """Check, call the provider and answer. `timeout` in seconds for all of it, `key` the request's Idempotency-Key:
        with one it is generated once, as a chat is (chat/replays.py)."""
        context = self._history.context(request, caller)
        given, context = self._given(request, caller, context)
        if not context.items and not given:
            if request.input is None:
                raise BadRequest("A required parameter is missing.", code="missing_required_parameter", param="input")
            raise BadRequest("The array is empty.", code="empty_array", param="input")
        if request.top_logprobs and not request.logprobs:
            told = "top_logprobs needs message.output_text.logprobs in include."
            raise BadRequest(told, code="invalid_value", param="top_logprobs")
        if key is None:
            return self._create(request, len(body), caller, account, timeout, context, given, None)
        subject = self._chat.subject(caller.project, request.user, request.safety_identifier, context.subject)
        claim = self._replays.claim(caller.project, subject, key, body, timeout, surface="response")
        if claim.completion is not None:
            answer = self._again(request, caller, claim.completion, [*context.items, *given])
            account.settle(0)
            return answer
        try:
            return self._create(request, len(body), caller, account, timeout, context, given, claim)
        except BaseException:
            self._replays.end(claim)  # nothing, where the generation has ended it already
            raise

    def _again(self, request: ResponseCreate, caller: Verdict, response: str, items: list[Item]) -> Answer:
        """What was stored, in the form that the request asks for; the values that it held itself are put back, save in
        a conversation, where others may stand before them by now and the placeholders would be those of others."""
        kept = self._history.find(caller.project, response).response
        if request.conversation is None:
            if request.truncation == "auto":
                items, _ = fitting(request, items, 0, self._chat.model(request.model, caller).context)
            guard, _ = guarded(chat_request(request, items, store=True), caller)
            if guard is not None:
                own = skeleton(request, response, kept["created_at"])
                kept |= {name: own[name] for name in ("instructions", "text", "tools", "tool_choice")}
                kept["output"] = guard.items_again(kept["output"])
        headers = {receipts.HEADER: receipts.FROM_STORE, "idempotency-replayed": "true"}
        if not request.stream:
            return Answer({**headers, "content-type": "application/json"}, iter([compact(kept)]))
        return Answer({**headers, "content-type": "text/event-stream; charset=utf-8"}, replayed(kept, -1))

    def _create(
        self,
        request: ResponseCreate,
        size: int,
        caller: Verdict,
        account: Account,
        timeout: float,
        context: Context,
        given: list[Item],
        claim: Claim | None,
    ) -> Answer:
        storing = request.store is True or request.keeps_items
        family = Family.new(self._clock.now())
        numbers = count(1)
        own = [{**item, "id": item_id(item, family.token(next(numbers)))} for item in given]

        def keep(at: Started, transcript: Transcript) -> None:
            assert at.handle
            _settle(answering, at.generation, transcript.finish, self._clock)
            kept, given_items = answering.response, own
            if at.guard is not None:
                kept, given_items = at.guard.sealed(kept), at.guard.sealed(given_items)
            self._history.keep(at.handle, request, kept, given_items, context, at.now, at.expires)
            if claim is not None and request.store and at.expires is not None:
                claim.kept = response["id"], at.expires

        items, size = [*context.items, *given], size + context.size
        try:
            if request.truncation == "auto":
                model = self._chat.model(request.model, caller)
                items, size = fitting(request, items, size, model.context)
            started = self._chat.start(
                chat_request(request, items, store=storing),
                size,
                caller,
                account,
                timeout,
                keep=keep,
                kind="response",
                heir=context.subject,
                others=context.subjects,
                until=context.until if request.store is not True else None,
                ended=claim.end if claim else None,
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

    def _given(self, request: ResponseCreate, caller: Verdict, context: Context) -> tuple[list[Item], Context]:
        """The request's own items in full, and the context with what they need of it: a referenced item is read, and
        comes in as a copy."""
        if request.input is None or isinstance(request.input, str):
            return [] if request.input is None else [of_text(request.input)], context
        names = [(item["id"], f"input[{at}]") for at, item in enumerate(request.input) if _is_reference(item)]
        found, context = self._history.referenced(caller, names, context)
        return [found[item["id"]] if _is_reference(item) else full(item) for item in request.input], context


def _is_reference(item: Any) -> TypeGuard[ItemReference]:
    """Of the fields of an item a reference has its id alone (responses/shapes.py)."""
    return "role" not in item and "type" not in item


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
        "tools": [{**_TOOLS[tool["type"]], **tool} for tool in wanted.get("tools", ())],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "truncation": request.truncation or "disabled",
        "usage": None,
    }


def _settle(answering: Answering, generation: Generation, reason: FinishReason, clock: Clock) -> None:
    """See Answering.settle."""
    answering.response["service_tier"] = generation.served.tier or "default"
    answering.settle(reason, usage_of(generation.usage()), clock.now())


def _whole(generation: Generation, answering: Answering, clock: Clock) -> bytes:
    try:
        for event in generation.events():
            if isinstance(event, Finish):
                _settle(answering, generation, event.reason, clock)
            else:
                answering.add(event)
    except ProviderBroken as error:
        raise broken(error) from None
    finally:
        generation.close()
    return compact(answering.response)


def _events(generation: Generation, answering: Answering, clock: Clock) -> Iterator[bytes]:
    yield answering.begin()
    try:
        for event in generation.events():
            if isinstance(event, Finish):
                _settle(answering, generation, event.reason, clock)
            elif frames := HEARTBEAT if isinstance(event, Idle) else answering.add(event):
                yield frames
    except Exception as error:  # noqa: BLE001 - a stream that just ends would look like a whole answer to its reader
        yield answering.failed(refusal_of(broken(error) if isinstance(error, ProviderBroken) else error))
        return
    yield answering.end()
