"""Creating a chat completion: the checks, the call, the answer. No HTTP and no AWS in here."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chat import sse
from chat.accounting import Account
from chat.faults import refusal_of
from chat.generation import Body, Generation, Transcript
from chat.models import Model, Registry
from chat.providers.base import (
    Call,
    Finish,
    Provider,
    ProviderBroken,
    ProviderRejected,
    ProviderUnavailable,
    Rejection,
    Text,
    ToolArguments,
    ToolStart,
)
from chat.wire import ChatRequest
from chatapi.catalogue import expiry
from chatapi.clock import Clock, iso
from chatapi.errors import ApiError, BadRequest, RetentionNotPermitted, Unavailable
from chatapi.ids import completion_id
from chatapi.logs import log, log_error
from chatapi.prices import cost, price_of
from chatapi.store.completions import Completions
from chatapi.store.days import Charge, Days
from chatapi.vault import SubjectHandle
from chatapi.verdict import Verdict

_PASSED_ON = ("presence_penalty", "frequency_penalty", "logit_bias", "parallel_tool_calls")


@dataclass(frozen=True)
class Answer:
    """What goes back: status, headers of this answer, and the body in pieces."""

    headers: dict[str, str]
    body: Iterator[bytes]


class Started(NamedTuple):
    """A generation that the provider has accepted, and what a surface needs to answer with it.

    `handle` is the right to store, where it was asked for; `receipt` the headers that say what happens to the data.
    """

    model: Model
    now: float
    handle: SubjectHandle | None
    generation: Generation
    receipt: dict[str, str]


Keep = Callable[[Started, Transcript], None]
"""Stores what was generated, once it is whole. Called only where storing was asked for."""


class Chat:
    """The service. `subject_of(project, kind, value)` names a data subject; `providers` finds a provider."""

    def __init__(
        self,
        *,
        registry: Registry,
        providers: Callable[[Model], Provider],
        completions: Completions,
        days: Days,
        subject_of: Callable[[str, Any, str], str],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._providers = providers
        self._completions = completions
        self._days = days
        self._subject_of = subject_of
        self._clock = clock

    def create(self, request: ChatRequest, size: int, caller: Verdict, account: Account, timeout: float) -> Answer:
        """Check, call the provider and answer. `size` of the body in bytes, `timeout` in seconds for all of it.

        Raises ApiError until the provider has accepted: the status is committed only then.
        """
        started = self.start(
            request, size, caller, account, timeout, keep=lambda at, told: self._keep(at, head, request, told)
        )
        now, generation, receipt = started.now, started.generation, started.receipt
        head: dict[str, Any] = {"id": completion_id(now), "created": int(now), "model": request.model}
        if request.stream:
            receipt["content-type"] = "text/event-stream; charset=utf-8"
            frames = sse.Frames(head["id"], head["created"], head["model"], usage=request.include_usage)
            return Answer(receipt, Body(_events(generation, frames, usage=request.include_usage), generation))
        receipt["content-type"] = "application/json"
        return Answer(receipt, iter([_whole(generation, head)]))

    def start(
        self,
        request: ChatRequest,
        size: int,
        caller: Verdict,
        account: Account,
        timeout: float,
        *,
        keep: Keep,
        kind: str = "completion",
        heir: str | None = None,
        others: Collection[str] = (),
    ) -> Started:
        """The seam of every surface: all checks, the reservation, the right to store, the call, the disclosure.

        `kind` is the kind of record that `keep` writes. `heir` is the data subject where the request names nobody, the
        project's owner by default; `others` are those whose stored content goes to the provider along with it.
        Raises ApiError; afterwards the generation settles by itself.
        """
        now = self._clock.now()
        today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
        model = self._registry.permitted(self._registry.get(request.model, caller.models), today)
        if request.output_tokens > model.context:
            raise BadRequest("The model cannot answer that long.", code="invalid_value", param=_limit_name(request))
        if request.store and caller.retention != "history":
            raise RetentionNotPermitted
        prompt_estimate = size // 4
        account.cover(prompt_estimate, request.output_tokens, price_of(model.id))
        subject = self.subject(caller.project, request.user, request.safety_identifier, heir)
        handle = self._completions.open_for(caller.project, subject, key=caller.key) if request.store else None
        try:
            stream = self._open(model, request, subject, timeout)
        except ApiError:
            # The provider may have read the messages before it refused: that is a disclosure too.
            self._disclose(caller, (subject, *others), model, now, 0, 0, 0)
            raise
        generation = Generation(
            stream,
            account,
            prompt_estimate,
            keep=lambda transcript: keep(started, transcript) if handle else None,
            disclose=lambda *tokens: self._disclose(caller, (subject, *others), model, now, *tokens),
        )
        receipt = {"data-handling": _receipt(model, expiry(kind, now) if handle else None)}
        started = Started(model, now, handle, generation, receipt)
        return started

    def subject(self, project: str, user: str | None, safety_identifier: str | None, heir: str | None = None) -> str:
        """The data subject: the end user that the request names, else the heir, else the project's owner."""
        named = safety_identifier or user
        if named is None:
            return heir or self._subject_of(project, "owner", project)
        subject = self._subject_of(project, "user", named)
        if user is not None and user != named:
            self._days.alias(project, self._subject_of(project, "user", user), subject)
        return subject

    def _open(self, model: Model, request: ChatRequest, subject: str, timeout: float) -> Any:
        stop = request.stop or ()
        call = Call(
            model=model.upstream,
            messages=tuple(dict(message) for message in request.messages),
            max_tokens=request.output_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            tools=tuple(dict(tool) for tool in request.tools) if request.tools else None,
            tool_choice=request.tool_choice,
            response_format=request.response_format,
            seed=request.seed,
            extra={**model.extra, **{k: v for k in _PASSED_ON if (v := getattr(request, k)) is not None}},
            user=subject,
        )
        try:
            return self._providers(model).open(call, timeout=timeout)
        except ProviderRejected as error:
            if error.reason is Rejection.CONTEXT_LENGTH:
                raise BadRequest(
                    "The messages and max_tokens are longer than the model's context.",
                    code="context_length_exceeded",
                    param="messages",
                ) from None
            raise BadRequest("The model does not accept this request.", code="rejected_by_model") from None
        except ProviderUnavailable:
            raise Unavailable("The model is not available at the moment. Try again.", retry_after=2) from None

    def _keep(self, at: Started, head: dict[str, Any], request: ChatRequest, transcript: Transcript) -> None:
        assert at.handle
        completion = _completion(head, transcript, at.generation.usage())
        completion["metadata"] = request.metadata or {}
        for name in ("temperature", "top_p", "seed", "tools", "tool_choice", "response_format"):
            completion[name] = getattr(request, name)
        body = json.dumps({"completion": completion, "messages": request.messages}, separators=(",", ":"))
        self._completions.save(at.handle, head["id"], body.encode(), created=head["created"])

    def _disclose(
        self,
        caller: Verdict,
        subjects: Sequence[str],
        model: Model,
        since: float,
        tokens_in: int,
        cached: int,
        tokens_out: int,
    ) -> None:
        """The chat is over: a fault here must not turn an answer into an error, but it must not be silent either. The
        chat is counted for the first of the subjects; the others' stored content went along with it."""
        for subject in dict.fromkeys(subjects):
            try:
                if subject == subjects[0]:
                    charge = Charge(caller.kid, model.id, cached, cost(model.id, tokens_in, cached, tokens_out))
                    used = (tokens_in, tokens_out)
                else:
                    charge, used = None, (0, 0)
                self._days.disclose(caller.project, subject, model.processor, *used, since=since, charge=charge)
            except Exception as error:  # noqa: BLE001 - see above; logged for the alarm
                log_error("disclosure_failed", error, function="chat", project=caller.project)
        log(
            "chat",
            function="chat",
            project=caller.project,
            model=model.id,
            recipient=model.processor,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )


def _limit_name(request: ChatRequest) -> str:
    return "max_completion_tokens" if request.max_completion_tokens else "max_tokens"


def _receipt(model: Model, expires: int | None) -> str:
    """What is retained and until when, who processes, where, and that nobody trains on it."""
    retained = f"content; until={iso(expires)}" if expires else "none"
    training = "yes" if model.training else "no"
    return f"retained={retained}; processor={model.processor}; region={model.region}; training={training}"


def _completion(head: dict[str, Any], transcript: Transcript, usage: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": transcript.message(), "logprobs": None, "finish_reason": transcript.finish}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage, "system_fingerprint": None}


def _whole(generation: Generation, head: dict[str, Any]) -> bytes:
    try:
        for _ in generation.events():
            pass
    except ProviderBroken:
        raise broken() from None
    finally:
        generation.close()
    return sse.compact(_completion(head, generation.transcript, generation.usage()))


def _events(generation: Generation, frames: sse.Frames, *, usage: bool) -> Iterator[bytes]:
    yield frames.role()
    try:
        for event in generation.events():
            match event:
                case Text(text):
                    yield frames.text(text)
                case ToolStart(index, call_id, name):
                    yield frames.tool_start(index, call_id, name)
                case ToolArguments(index, fragment):
                    yield frames.tool_arguments(index, fragment)
                case Finish(reason):
                    yield frames.finish(reason)
    except Exception as error:  # noqa: BLE001 - a stream that just ends would look like a whole answer to its reader
        refusal = refusal_of(broken() if isinstance(error, ProviderBroken) else error)
        yield sse.error(refusal.payload())
        return
    if usage:
        yield frames.usage(generation.usage())
    yield sse.DONE


def broken() -> Unavailable:
    """What is said of a stream that the provider broke off."""
    return Unavailable("The model stopped before it had finished. What was used is settled. Try again.")
