"""What a chat does for optional purposes (docs/choices.md): nothing, unless the data subject's own choice allows it.

Asked only where the project's flag says that somebody there allowed anything: once when the request comes, so that the
receipt can tell, and once more when the answer is whole, just before anything is written: a withdrawal during a long
stream counts. Where the choices cannot be read, nothing is written, and the chat goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chatapi.logs import log_error
from chatapi.store.patterns import Patterns, Use

if TYPE_CHECKING:
    from chat.disclosures import Asked
    from chatapi.clock import Clock
    from chatapi.store.consents import Consents
    from chatapi.verdict import Verdict

ANALYTICS = "analytics"


class Chosen(NamedTuple):
    """The purposes that the subject allows; not `readable`: nobody knows, so none."""

    purposes: tuple[str, ...] = ()
    readable: bool = True

    def header(self) -> str:
        """What the receipt's header says."""
        if not self.readable:
            return "; purposes=none; choices=unreadable"
        return "; purposes=" + (",".join(self.purposes) or "none")

    def body(self) -> dict[str, Any]:
        """What the receipt's body says."""
        return {"purposes": list(self.purposes), "choices_readable": self.readable}


class Optional:
    """Obeys choices. It is made when a project first needs it."""

    def __init__(self, consents: Consents, patterns: Patterns, clock: Clock) -> None:
        self._consents = consents
        self._patterns = patterns
        self._clock = clock

    def ask(self, caller: Verdict, subject: str) -> Chosen:
        """What the subject allows of what the project's flags name. Never raises."""
        try:
            granted = self._consents.granted(caller.project, subject, self._clock.now())
        except Exception as error:  # noqa: BLE001 - the chat does not depend on it; logged for the alarm
            log_error("choices_unreadable", error, function="chat", project=caller.project)
            return Chosen(readable=False)
        return Chosen(tuple(purpose for purpose in caller.purposes if purpose in granted))

    def act(self, asked: Asked, chosen: Chosen, tokens: int) -> None:
        """Write what is still allowed, after the chat. Never raises."""
        if not chosen.purposes:
            return
        chosen = self.ask(asked.caller, asked.subject)
        if ANALYTICS in chosen.purposes:
            self._count(asked, tokens)

    def _count(self, asked: Asked, tokens: int) -> None:
        features = tuple(name for name in ("stream", "tools", "store") if getattr(asked.request, name, None))
        try:
            self._patterns.count(asked.caller.project, asked.subject, Use(asked.model.id, features, tokens))
        except Exception as error:  # noqa: BLE001 - as above
            log_error("pattern_failed", error, function="chat", project=asked.caller.project)
