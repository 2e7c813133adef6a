"""Finding a provider that accepts: the model that was asked for, then its fallbacks, before the first token alone.

A circuit breaker of the warm function remembers who failed: three times in a row, or once for a fault that only the
operator can mend, and a model that has a fallback is passed over for 30 s. It never refuses by itself: where all are
passed over, all are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chat.providers.base import ProviderMisconfigured, ProviderRejected, ProviderUnavailable, Rejection, Stream
from chatapi.errors import BadRequest, ModelMisconfigured, Unavailable
from chatapi.logs import log_error

if TYPE_CHECKING:
    from chat.models import Model
    from chatapi.clock import Clock

FAILURES = 3
PAUSE = 30.0


class Breaker:
    """What this warm function has seen of its providers, by model."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def willing(self, models: Sequence[Model]) -> Sequence[Model]:
        """Those that are not passed over at the moment; all of them where that leaves none."""
        now = self._clock.monotonic()
        return [model for model in models if self._until.get(model.id, 0.0) <= now] or models

    def failed(self, model: Model, *, surely: bool = False) -> None:
        """It was not available, and will `surely` not be the next time."""
        count = self._failures[model.id] = FAILURES if surely else self._failures.get(model.id, 0) + 1
        if count >= FAILURES:
            self._until[model.id] = self._clock.monotonic() + PAUSE

    def succeeded(self, model: Model) -> None:
        """It accepted."""
        self._failures.pop(model.id, None)
        self._until.pop(model.id, None)


def open_first(
    models: Sequence[Model],
    attempt: Callable[[Model], Stream],
    breaker: Breaker,
    tried: Callable[[Model], None],
    param: str = "messages",
) -> tuple[Model, Stream]:
    """The first of the models whose provider accepts, and its stream. `tried` is told of each that did not and that
    was reached: it may have read the messages, so that is a disclosure. Raises BadRequest (of
    `param` where that is too long), Unavailable; ModelMisconfigured where the operator must act for each of them."""
    hopeless = True
    for model in breaker.willing(models):
        try:
            stream = attempt(model)
        except ProviderMisconfigured as error:
            log_error("provider_misconfigured", error, function="chat", model=model.id, recipient=model.processor)
            breaker.failed(model, surely=True)
            if error.sent:
                tried(model)
        except ProviderUnavailable as error:
            hopeless = False
            breaker.failed(model)
            if error.sent:
                tried(model)
        except ProviderRejected as error:
            refusal = rejected(error.reason, param, error.param)
            tried(model)
            break
        else:
            breaker.succeeded(model)
            return model, stream
    else:
        if hopeless:
            raise ModelMisconfigured
        raise Unavailable("The model is not available at the moment. Try again.", retry_after=2)
    raise refusal


def rejected(reason: Rejection, param: str, named: str | None = None) -> BadRequest:
    """What is said of a request that a provider will not serve; `param` is what is too long, `named` what it will not
    take, where that is known."""
    if reason is Rejection.CONTEXT_LENGTH:
        return BadRequest(
            "What was sent, and the answer it asks for, are longer than the model's context.",
            code="context_length_exceeded",
            param=param,
        )
    if reason is Rejection.CONTENT_FILTER:
        return BadRequest("The provider's content filter refuses this.", code="content_filter", param=param)
    if reason is Rejection.CALL_ARGUMENTS:
        said = "The arguments of a tool call that was made before are not a JSON object."
        return BadRequest(said, code="rejected_by_model", param=named)
    return BadRequest("The model does not accept this request.", code="rejected_by_model", param=named)
