"""The port to a model provider: pure values in, pure events out.

::

    ProviderError
    ├── ProviderUnavailable      before acceptance: not reached, failed, throttled
    │   └── ProviderMisconfigured  it would again: credentials, quota, a wrong model. The operator must act
    ├── ProviderRejected         before acceptance: this request cannot be served (context_length, bad_request, …)
    └── ProviderBroken           after acceptance: the stream failed, raised by the iteration
        └── CallMissing            it ended without the call that was demanded

Texts are fixed: an upstream's own message may quote the prompt. What holds content does not show it in a repr.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from chat.providers.guardrail import Guardrail

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(NamedTuple):
    """A piece of the answer's text. ``logprobs``: its tokens in OpenAI's shape, where they were asked for.

    Each token is one, and a named tuple is made in a third of the time that a frozen dataclass takes.
    """

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        return "Text()"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A piece of the text with which the model declines."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks before it answers. Chat completions have no field for it."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """The end of a thought that its provider signed: the signature of the :class:`Reasoning` before it, if any was
    told; or, ``redacted``, a thought that the provider encrypted instead, in base64."""

    value: str = field(repr=False)
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Sealed:
    """The same as the caller carries it to the next turn (chat/thoughts.py; no adapter sends it)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """What follows belongs to this answer of a request for several (``n``); never sent for the first one, 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Served:
    """What the upstream says about itself, at most once and before all content."""

    fingerprint: str | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has arrived for a while, and the upstream is still there: the moment for a sign of life."""


@dataclass(frozen=True, slots=True)
class ToolStart:
    """The model begins to call a tool. ``index`` counts the calls of this answer from 0. ``custom``: the arguments are
    not JSON but the text of a custom tool (chat/custom_tools.py)."""

    index: int
    id: str
    name: str = field(repr=False)
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """A piece of the JSON text of a call's arguments."""

    index: int
    fragment: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the model stopped. Comes once, after all content."""

    reason: FinishReason


class Usage(NamedTuple):
    """Tokens of the call; the last event. ``prompt_tokens`` include ``cached_tokens``, as OpenAI counts them. Estimated
    where the upstream does not say: a token for a piece of the answer, and for four characters of the prompt."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_written_tokens: int = 0


Vector: TypeAlias = "array[float]"
"""32-bit floats."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The answer to an :class:`EmbedCall`: a vector for each input, in their order."""

    vectors: tuple[Vector, ...] = field(repr=False)


Event: TypeAlias = (
    Text
    | Refusal
    | Reasoning
    | Signed
    | Sealed
    | ToolStart
    | ToolArguments
    | Choice
    | Served
    | Idle
    | Vectors
    | Finish
    | Usage
)


class Call(NamedTuple):
    """One completion to ask for. ``messages``, ``tools`` and the rest have OpenAI's wire shape and are validated.

    ``model`` is the upstream's id, ``user`` a pseudonym (never what the caller sent), ``extra`` further accepted
    parameters of OpenAI's that an adapter may be unable to pass on. ``cache_key``, a pseudonym, keeps the provider's
    prompt cache apart from other projects'; ``cache_points`` asks for it.
    """

    model: str
    messages: tuple[dict[str, Any], ...]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    extra: Mapping[str, Any] = MappingProxyType({})
    user: str | None = None
    guardrail: Guardrail | None = None
    cache_key: str | None = None
    cache_points: bool = False

    def __repr__(self) -> str:
        return f"Call(model={self.model!r})"


def demanded(choice: str | dict[str, Any] | None) -> bool:
    """Whether the `tool_choice` of a :class:`Call` leaves the model no answer without a call."""
    return choice == "required" or isinstance(choice, dict)


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """Texts or token arrays to embed. ``model`` and ``user`` as in :class:`Call`; ``dimensions`` of each vector."""

    model: str
    inputs: tuple[str | list[int], ...] = field(repr=False)
    dimensions: int | None
    user: str = field(repr=False)


class Stream(Protocol):
    """The events of an accepted call: content, then exactly one :class:`Finish`, then exactly one :class:`Usage`.

    For several answers that order repeats, each but the first behind its :class:`Choice`. :class:`Idle` comes anywhere
    before the Finish.
    """

    def __iter__(self) -> Iterator[Event]:
        """Yield the events as they arrive, once. Raises :class:`ProviderBroken`."""

    def close(self) -> None:
        """Stop the upstream if it still runs. Harmless when repeated."""


class Provider(Protocol):
    """A model provider."""

    def open(self, call: Call, *, timeout: float) -> Stream:
        """Return once the provider has accepted the call; ``timeout`` (seconds) bounds everything, the stream included.

        Raises :class:`ProviderUnavailable` or :class:`ProviderRejected`.
        """

    def embed(self, call: EmbedCall, *, timeout: float) -> Stream:
        """The vectors of the inputs: :class:`Vectors` is the one event before the Finish. Raises as ``open`` does.

        Where some inputs were embedded before one failed, the stream says what these used, and then raises.
        """


class ProviderError(Exception):
    """A provider did not do what it was asked."""

    text = "the model provider failed"

    def __init__(self) -> None:
        super().__init__(self.text)


class ProviderUnavailable(ProviderError):
    """The provider cannot serve now; later, or another one, might. `sent` is False where surely nothing reached it."""

    text = "the model provider is unavailable"

    def __init__(self, *, sent: bool = True) -> None:
        super().__init__()
        self.sent = sent


class ProviderMisconfigured(ProviderUnavailable):
    """The provider does not let us in or does not know what we ask for. Another may serve; waiting does not help."""

    text = "the model provider is misconfigured"


class Rejection(StrEnum):
    """Why a provider will not serve a request."""

    CONTEXT_LENGTH = "context_length"
    BAD_REQUEST = "bad_request"
    CONTENT_FILTER = "content_filter"
    CALL_ARGUMENTS = "call_arguments"


class ProviderRejected(ProviderError):
    """The provider refuses this request, and would again; `param` names what of it, where that is known."""

    text = "the model provider rejected the request"

    def __init__(self, reason: Rejection, param: str | None = None) -> None:
        super().__init__()
        self.reason = reason
        self.param = param


class ProviderBroken(ProviderError):
    """An accepted stream failed, was cut short, or ran out of time."""

    text = "the model provider broke off"


class CallMissing(ProviderBroken):
    """The answer ended by itself, and the call that `tool_choice` demands is not in it."""

    text = "the model made no call"


HEARTBEAT_SECONDS = 15.0
"""After so long a silence a stream says that it is idle. API Gateway ends a stream after 5 idle minutes."""
