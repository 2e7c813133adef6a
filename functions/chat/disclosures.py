"""What became of a chat, written down once it is over: who received whose data, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatapi.logs import log, log_error
from chatapi.prices import cost
from chatapi.store.days import Charge, Days

if TYPE_CHECKING:
    from chat.embeddings import EmbeddingsRequest
    from chat.models import Model
    from chat.requests import ChatRequest
    from chatapi.verdict import Verdict


class Asked(NamedTuple):
    """A checked request: who asks what of which model, about whom. `others` are those whose stored content goes along,
    `deadline` is on the monotonic clock."""

    request: ChatRequest | EmbeddingsRequest
    caller: Verdict
    model: Model
    subject: str
    others: tuple[str, ...]
    since: float
    deadline: float


class Disclosures:
    """Writes them into the subjects' day rows (SHR-2)."""

    def __init__(self, days: Days) -> None:
        self._days = days

    def __call__(self, asked: Asked, tokens_in: int, cached: int, tokens_out: int, written: int = 0) -> None:
        """The chat is over: a fault here must not turn an answer into an error, but it must not be silent either. The
        chat is counted for its subject; the others' stored content went along with it."""
        project, model = asked.caller.project, asked.model
        for subject in dict.fromkeys((asked.subject, *asked.others)):
            try:
                if subject == asked.subject:
                    price = cost(model.id, tokens_in, cached, tokens_out, written)
                    charge = Charge(asked.caller.kid, model.id, cached, price)
                    used = (tokens_in, tokens_out)
                else:
                    charge, used = None, (0, 0)
                self._days.disclose(project, subject, model.processor, *used, since=asked.since, charge=charge)
            except Exception as error:  # noqa: BLE001 - see above; logged for the alarm
                log_error("disclosure_failed", error, function="chat", project=project)
        log(
            "chat",
            function="chat",
            project=project,
            model=model.id,
            recipient=model.processor,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )
