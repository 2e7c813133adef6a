"""What a chat does for optional purposes (docs/choices.md): nothing, unless the data subject's own choice allows it.

Asked only where the project's flag says that somebody there allowed anything: once when the request comes, so that the
receipt can tell, and once more when the answer is whole, just before anything is written: a withdrawal during a long
stream counts. Where the choices cannot be read, nothing is written, and the chat goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from chat.requests import ChatRequest
from chat.samples import KIND, is_text
from chatapi.catalogue import expiry
from chatapi.clock import iso
from chatapi.logs import log_error
from chatapi.store.patterns import Patterns, Use

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.disclosures import Asked
    from chat.samples import Samples
    from chatapi.clock import Clock
    from chatapi.store.consents import Consents
    from chatapi.verdict import Verdict

Answers: TypeAlias = "Callable[[], list[dict[str, Any]] | None]"
ANALYTICS, IMPROVEMENT = "analytics", "improvement"


class Chosen(NamedTuple):
    """The purposes that the subject allows; not `readable`: nobody knows, so none. `sample_until`: when the sample of
    this chat ends, where one is to be kept (POSIX seconds); `also`: the person's other name in this request."""

    purposes: tuple[str, ...] = ()
    readable: bool = True
    sample_until: int | None = None
    also: str | None = None

    def header(self) -> str:
        """What the receipt's header says."""
        if not self.readable:
            return "; purposes=none; choices=unreadable"
        sample = f"; sample=redacted; sample-until={iso(self.sample_until)}" if self.sample_until else ""
        return "; purposes=" + (",".join(self.purposes) or "none") + sample

    def body(self) -> dict[str, Any]:
        """What the receipt's body says."""
        sample = {"sample_expires_at": self.sample_until} if self.sample_until else {}
        return {"purposes": list(self.purposes), "choices_readable": self.readable, **sample}


class OptionalPurposes:
    """Obeys choices. It is made when a project first needs it."""

    def __init__(self, consents: Consents, patterns: Patterns, samples: Samples, clock: Clock) -> None:
        self._consents = consents
        self._patterns = patterns
        self._samples = samples
        self._clock = clock

    def ask(self, caller: Verdict, subject: str, sample_until: int | None = None, also: str | None = None) -> Chosen:
        """What the subject allows of what the project's flags name; `sample_until` where the chat could be a sample.
        `also`: another pseudonym of the same person, whose objections count as well. Never raises."""
        now = self._clock.now()
        try:
            granted = self._consents.granted(caller.project, subject, now)
            if also is not None and granted:
                granted -= self._consents.refused(caller.project, also, now)
        except Exception as error:  # noqa: BLE001 - the chat does not depend on it; logged for the alarm
            log_error("choices_unreadable", error, function="chat", project=caller.project)
            return Chosen(readable=False)
        purposes = tuple(purpose for purpose in caller.purposes if purpose in granted)
        return Chosen(purposes, sample_until=sample_until if IMPROVEMENT in purposes else None, also=also)

    def act(self, asked: Asked, chosen: Chosen, tokens: int, answers: Answers) -> None:
        """Write what is still allowed, after the chat. `answers` gives its whole answers, None where it was cut off.
        Never raises."""
        if not chosen.purposes:
            return
        still = self.ask(asked.caller, asked.subject, also=chosen.also).purposes
        if ANALYTICS in still:
            self._count(asked, tokens)
        if IMPROVEMENT in still and chosen.sample_until is not None:
            self._sample(asked, chosen.also, chosen.sample_until, answers)

    def _count(self, asked: Asked, tokens: int) -> None:
        features = tuple(name for name in ("stream", "tools", "store") if getattr(asked.request, name, None))
        try:
            self._patterns.count(asked.caller.project, asked.subject, Use(asked.model.id, features, tokens))
        except Exception as error:  # noqa: BLE001 - as above
            log_error("pattern_failed", error, function="chat", project=asked.caller.project)

    def _sample(self, asked: Asked, also: str | None, until: int, answers: Answers) -> None:
        assert isinstance(asked.request, ChatRequest)

        def allowed() -> bool:
            return IMPROVEMENT in self.ask(asked.caller, asked.subject, also=also).purposes

        try:
            if (said := answers()) is None:
                return
            chat = {"model": asked.model.id, "messages": asked.request.messages, "answers": said}
            self._samples.keep(asked.caller, asked.subject, chat, until, allowed)
        except Exception as error:  # noqa: BLE001 - as above
            log_error("sample_failed", error, function="chat", project=asked.caller.project)


def sample_until(asked: Asked, kind: str, ceiling: int | None) -> int | None:
    """When a sample of this chat would end; None where there can be none: only a chat completion is one, since other
    surfaces bring stored content along, none has more than text, and where a ceiling of request, key or project keeps
    nothing, nothing is."""
    request = asked.request
    if kind != "completion" or not isinstance(request, ChatRequest) or asked.others or ceiling == 0:
        return None
    if not all(map(is_text, request.messages)):
        return None
    return expiry(KIND, asked.since, ceiling_seconds=ceiling)


def other_name(asked: Asked) -> str | None:
    """The person's other name, where a request has two (`user` beside `safety_identifier`)."""
    request = asked.request
    return request.user if request.safety_identifier and request.user != request.safety_identifier else None
