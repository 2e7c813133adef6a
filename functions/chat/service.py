"""Creating a chat completion: the checks, the call, the answer. No HTTP and no AWS in here."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from chat import answers, capabilities, receipts, sse
from chat.accounting import Account
from chat.calling import call_of
from chat.choices import Choices
from chat.custom_tools import CustomCalls, name_of
from chat.disclosures import Asked, Disclosures
from chat.fallback import Breaker, open_first
from chat.generation import Body, Generation, Transcript
from chat.models import Model, Registry
from chat.providers.base import Provider, ProviderUnavailable, Stream
from chat.redaction import guarded
from chat.replays import Claim
from chat.requests import ChatRequest
from chat.started import Answer, Keep, Started, kept
from chat.stored import Tags, packed
from chat.thoughts import Sealing, Thoughts
from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import ApiError, BadRequest
from chatapi.ids import completion_id
from chatapi.prices import price_of
from chatapi.store.completions import Completions
from chatapi.store.days import Days
from chatapi.verdict import Verdict

if TYPE_CHECKING:
    from chat.embeddings import EmbeddingsRequest
    from chat.purposes import Chosen, OptionalPurposes

_KEPT: tuple[str, ...] = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_KEPT += ("tools", "tool_choice", "response_format")


class Chat:
    """The service. `subject_of(project, kind, value)` names a data subject; `providers` finds a provider; `purposes`
    is there for projects in which somebody allowed an optional purpose."""

    def __init__(
        self,
        *,
        registry: Registry,
        providers: Callable[[Model], Provider],
        completions: Completions,
        days: Days,
        subject_of: Callable[[str, Any, str], str],
        tags: Tags,
        clock: Clock,
        purposes: Callable[[], OptionalPurposes],
    ) -> None:
        self._purposes = purposes
        self._registry = registry
        self._providers = providers
        self._completions = completions
        self._days = days
        self._disclosed = Disclosures(days)
        self._subject_of = subject_of
        self._tags = tags
        self._clock = clock
        self._breaker = Breaker(clock)

    def create(
        self,
        request: ChatRequest,
        size: int,
        caller: Verdict,
        account: Account,
        timeout: float,
        claim: Claim | None = None,
    ) -> Answer:
        """Check, call the provider and answer. `size` of the body in bytes, `timeout` in seconds for all of it, `claim`
        what the request holds by its Idempotency-Key.

        Raises ApiError until the provider has accepted: the status is committed only then.
        """

        def keep(at: Started, _: Transcript) -> None:
            self._keep(at, head, request, caller)
            if claim is not None and at.expires is not None:
                claim.kept = head["id"], at.expires

        ended = claim.end if claim else None
        started = self.start(request, size, caller, account, timeout, keep=keep, ended=ended)
        now, generation, headers = started.now, started.generation, started.receipt
        head: dict[str, Any] = {"id": completion_id(now), "created": int(now), "model": started.model.id}
        extra: dict[str, Any] = {}
        if (asked := request.data_handling) is not None and (asked.receipt or asked.gpc):
            extra = {"data_handling": receipts.body(started.model, started.expires, *started.told, gpc=asked.gpc)}
        if not request.stream:
            headers["content-type"] = "application/json"
            return Answer(headers, iter([answers.whole(generation, head, extra)]))
        if started.handle is None and not started.sampled:
            generation.forget()
        headers["content-type"] = "text/event-stream; charset=utf-8"
        options = request.stream_options
        padded = options is not None and options.include_obfuscation is True
        frames = sse.Frames(head["id"], head["created"], head["model"], usage=request.include_usage, padded=padded)
        chunks = answers.stream(generation, frames, usage=request.include_usage, extra=extra)
        return Answer(headers, Body(chunks, generation))

    def start(
        self,
        request: ChatRequest | EmbeddingsRequest,
        size: int,
        caller: Verdict,
        account: Account,
        timeout: float,
        *,
        keep: Keep,
        kind: str = "completion",
        heir: str | None = None,
        others: Collection[str] = (),
        until: int | None = None,
        ended: Callable[[], None] | None = None,
    ) -> Started:
        """The seam of every surface: all checks, the reservation, the right to store, the call, the disclosure.

        `kind` is the kind of record that `keep` writes; `ended` is called once the generation is settled. `heir` is the
        data subject where the request names nobody, the project's owner by default; `others` are those whose stored
        content goes to the provider along with it; `until` is when what is stored ends at the latest. Raises
        ApiError; afterwards the generation settles by itself.
        """
        now, deadline = self._clock.now(), time.monotonic() + timeout
        today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
        model = self._registry.permitted(self._registry.get(request.model, caller.models), today, caller.guardrail)
        _check(request, model)
        if request.output_tokens > model.context:
            raise BadRequest("The model cannot answer that long.", code="invalid_value", param=_limit_name(request))
        ceiling = receipts.ceiling(request, caller)
        guard, request = guarded(request, caller)
        prompt_estimate, count = size // 4, request.choices

        def cover(candidate: Model) -> None:
            account.cover(prompt_estimate * count, request.output_tokens * count, price_of(candidate.id))

        cover(model)
        subject = self.subject(caller.project, request.user, request.safety_identifier, heir)
        asked = Asked(request, caller, model, subject, tuple(others), now, deadline)
        told: dict[str, str] = {}
        if (caller.user_rpm or caller.user_tpm) and subject != self._subject_of(
            caller.project, "owner", caller.project
        ):
            told = account.allow(subject, (prompt_estimate + request.output_tokens) * count, now)
        handle = self._completions.open_for(caller.project, subject, key=caller.key) if request.store else None
        chosen = self._chosen(asked, kind, ceiling) if caller.purposes else None
        asked, stream = self._open(asked, today, cover, guard)
        model = asked.model
        stream = guard.restoring(stream) if guard else self._sealing(stream, kind, caller.project, model)

        def said() -> list[dict[str, Any]] | None:
            answered = [each.message() for each in generation.transcripts] if generation.whole else None
            return guard.sealed(answered) if guard else answered  # a sample has none of the caller's own values

        def disclose(tokens_in: int, cached: int, tokens_out: int, written: int) -> None:
            self._disclosed(asked, tokens_in, cached, tokens_out, written)
            if chosen is not None:
                self._purposes().act(asked, chosen, tokens_in + tokens_out, said)
            if ended is not None:
                ended()

        generation = Generation(
            stream,
            account,
            prompt_estimate,
            keep=lambda transcript: kept(keep, started, transcript),
            disclose=disclose,
        )
        expires = min(expiry(kind, now, ceiling_seconds=ceiling), until or 1 << 62) if handle else None
        more = tuple(each for each in (chosen, guard) if each is not None)
        receipt = {receipts.HEADER: receipts.header(model, expires, *more), **receipts.signals(request), **told}
        sampled = chosen is not None and chosen.sample_until is not None
        started = Started(model, now, handle, generation, receipt, expires, ceiling, more, guard, sampled)
        return started

    def _open(
        self, asked: Asked, today: datetime.date, cover: Callable[[Model], None], guard: receipts.Told | None
    ) -> tuple[Asked, Stream]:
        """The request at the model that accepted it, which may be a fallback, and the stream of all its answers.
        `cover` reserves what a model may cost. Raises ApiError, which says who may have read the messages."""

        def attempt(candidate: Model) -> Stream:
            cover(candidate)
            return self._stream(asked if candidate is asked.model else asked._replace(model=candidate))

        tried: list[Model] = []
        try:
            param = "messages" if isinstance(asked.request, ChatRequest) else "input"
            model, stream = open_first(self._candidates(asked, today), attempt, self._breaker, tried.append, param)
        except ApiError as error:
            if tried:
                error.headers.setdefault(receipts.HEADER, receipts.header(tried[-1], None, *filter(None, (guard,))))
            raise
        finally:
            for candidate in tried:  # it may have read the messages before it refused: that is a disclosure too
                self._disclosed(asked._replace(model=candidate), 0, 0, 0)
        accepted = asked._replace(model=model)
        if asked.request.choices > 1:
            stream = Choices(stream, lambda: self._stream(accepted), asked.request.choices)
        return accepted, stream

    def _chosen(self, asked: Asked, kind: str, ceiling: int | None) -> Chosen:
        """What the subject allows, where somebody in the project allowed anything."""
        from chat.purposes import other_name, sample_until

        other = other_name(asked)
        also = self._subject_of(asked.caller.project, "user", other) if other else None
        return self._purposes().ask(asked.caller, asked.subject, sample_until(asked, kind, ceiling), also)

    def model(self, name: str, caller: Verdict) -> Model:
        """The model as the caller's key may see it. ModelNotFound."""
        return self._registry.get(name, caller.models)

    def subject(self, project: str, user: str | None, safety_identifier: str | None, heir: str | None = None) -> str:
        """The data subject: the end user that the request names, else the heir, else the project's owner."""
        named = safety_identifier or user
        if named is None:
            return heir or self._subject_of(project, "owner", project)
        subject = self._subject_of(project, "user", named)
        if user is not None and user != named:
            self._days.alias(project, self._subject_of(project, "user", user), subject)
        return subject

    def _candidates(self, asked: Asked, today: datetime.date) -> list[Model]:
        """The model and those of its fallbacks that the key may use, the policy permits, and that can do as much."""
        request, found = asked.request, [asked.model]
        for name in asked.model.fallback:
            try:
                model = self._registry.get(name, asked.caller.models)
                model = self._registry.permitted(model, today, asked.caller.guardrail)
                _check(request, model)
            except ApiError:
                continue
            if request.output_tokens <= model.context:
                found.append(model)
        return found

    def _stream(self, asked: Asked) -> Stream:
        request, project = asked.request, asked.caller.project
        remaining = asked.deadline - time.monotonic()
        if remaining <= 0:
            raise ProviderUnavailable
        if not isinstance(request, ChatRequest):
            return self._providers(asked.model).embed(request.call(asked.model, asked.subject), timeout=remaining)
        cached = asked.model.cache != "off"
        cache_key = self._subject_of(project, "cache", request.prompt_cache_key or "") if cached else ""
        thoughts = partial(self._thoughts, project, asked.model) if asked.model.provider == "bedrock" else None
        call = call_of(request, asked.model, user=asked.subject, cache_key=cache_key, thoughts=thoughts)
        stream = self._providers(asked.model).open(call, timeout=remaining)
        custom = {name_of(tool) for tool in request.tools or () if tool["type"] == "custom"}
        return CustomCalls(stream, custom) if custom else stream

    def _sealing(self, stream: Stream, kind: str, project: str, model: Model) -> Stream:
        """Completions have no field for what a model thought, and only Converse signs any."""
        carries = kind == "response" and model.provider == "bedrock"
        return Sealing(stream, self._thoughts(project, model)) if carries else stream

    def _thoughts(self, project: str, model: Model) -> Thoughts:
        return Thoughts(self._subject_of(project, "thoughts", ""), model.upstream)

    def _keep(self, at: Started, head: dict[str, Any], request: ChatRequest, caller: Verdict) -> None:
        assert at.handle
        completion = answers.completion(head, at.generation)
        if at.guard is not None:
            request, completion = at.guard.hidden, at.guard.sealed(completion)
        for name in _KEPT:
            completion[name] = getattr(request, name)
        completion["metadata"] = request.metadata or {}
        self._completions.save(
            at.handle,
            head["id"],
            packed(request.messages, completion),
            created=head["created"],
            ceiling_seconds=at.ceiling,
            model=at.model.id,
            tags=self._tags(caller.project, completion["metadata"]),
        )


def _check(request: ChatRequest | EmbeddingsRequest, model: Model) -> None:
    if isinstance(request, ChatRequest):
        capabilities.check(request, model.capabilities)
    else:
        request.check(model)


def _limit_name(request: ChatRequest | EmbeddingsRequest) -> str:
    assert isinstance(request, ChatRequest)  # embeddings have no tokens of output
    return "max_completion_tokens" if request.max_completion_tokens else "max_tokens"
