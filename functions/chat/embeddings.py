"""POST /v1/embeddings: the request as OpenAI's clients send it, and its answer. Nothing of it is ever stored.

The checks, the reservation, the disclosure and the receipt are those of a chat (`Chat.start`). openai-python asks for
base64 unless told otherwise: 32-bit floats, little-endian, as OpenAI sends them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from chat import receipts, sse
from chat.answers import broken
from chat.capabilities import unsupported
from chat.fallback import rejected
from chat.providers.base import EmbedCall, ProviderBroken, ProviderRejected, Rejection, Vector, Vectors
from chat.service import Chat
from chat.shapes import Name
from chat.started import Answer, Started
from chat.wire import DataHandling
from chatapi.bodies import parsed
from chatapi.errors import BadRequest
from chatapi.strict import STRICT

if TYPE_CHECKING:
    from chat.accounting import Account
    from chat.generation import Transcript
    from chat.models import Model
    from chatapi.verdict import Verdict

MOST_INPUTS = 2048
"""Of one request, as OpenAI has it."""
_Text = Annotated[str, StringConstraints(min_length=1, max_length=262_144)]
_Tokens = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=32_768, fail_fast=True)]


class EmbeddingsRequest(BaseModel):
    """The body, validated. The properties below it are what `Chat.start` asks of every request."""

    model_config = STRICT

    model: Name
    input: (
        _Text
        | Annotated[list[_Text], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]
        | _Tokens
        | Annotated[list[_Tokens], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=16_384)] | None = None
    user: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    safety_identifier: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    data_handling: DataHandling | None = None

    @property
    def store(self) -> None:
        """Never asked for."""
        return

    @property
    def output_tokens(self) -> int:
        """None are made."""
        return 0

    @property
    def choices(self) -> int:
        """One answer."""
        return 1

    @property
    def inputs(self) -> tuple[str | list[int], ...]:
        """Each text or token array that is embedded."""
        if isinstance(self.input, str):
            return (self.input,)
        if isinstance(self.input[0], int):
            return (self.input,)
        return tuple(self.input)

    def check(self, model: Model) -> None:
        """BadRequest that names the first parameter which the model cannot take."""
        tokens = [len(each) for each in self.inputs if not isinstance(each, str)]
        if "embeddings" not in model.capabilities:
            raise BadRequest("The model makes no embeddings.", code="unsupported_parameter", param="model")
        for capability, param, asked in (
            ("dimensions", "dimensions", self.dimensions is not None),
            ("token_input", "input", bool(tokens)),
        ):
            if asked and capability not in model.capabilities:
                raise unsupported(param)
        if max(tokens, default=0) > model.context:
            raise BadRequest(
                "An input is longer than the model's context.", code="context_length_exceeded", param="input"
            )

    def call(self, model: Model, subject: str) -> EmbedCall:
        """What the provider is asked. `subject` is a pseudonym."""
        return EmbedCall(model.upstream, self.inputs, self.dimensions, subject)


_KNOWN = frozenset([*EmbeddingsRequest.model_fields, *DataHandling.model_fields])
_FREE = frozenset(("input",))
"""Its union's branches are no part of a path."""


def parse(body: bytes) -> EmbeddingsRequest:
    """The request of a body. BadRequest with a stable code and the field's path."""
    return parsed(EmbeddingsRequest, body, known=_KNOWN, free=_FREE)


def embed(chat: Chat, body: bytes, caller: Verdict, account: Account, timeout: float) -> Answer:
    """Check, ask the provider and answer. `timeout` in seconds for all of it. Raises ApiError."""
    request = parse(body)
    # A token of a token array may take two bytes of the body, so these count for themselves.
    size = max(len(body), 4 * sum(len(each) for each in request.inputs if not isinstance(each, str)))
    started = chat.start(request, size, caller, account, timeout, keep=_never)
    generation, vectors = started.generation, Vectors(())
    reason: Rejection | None = None
    try:
        for event in generation.events():
            if isinstance(event, Vectors):
                vectors = event
    except ProviderBroken as error:
        raise broken(error) from None
    except ProviderRejected as error:  # a later text of several: those before it are settled
        reason = error.reason
    finally:
        generation.close()
    if reason is not None:
        refusal = rejected(reason, "input")
        refusal.headers[receipts.HEADER] = started.receipt[receipts.HEADER]
        raise refusal
    prompt, _ = generation.tokens()
    tail: dict[str, Any] = {"model": started.model.id, "usage": {"prompt_tokens": prompt, "total_tokens": prompt}}
    asked = request.data_handling
    if asked is not None and (asked.receipt or asked.gpc):
        tail["data_handling"] = receipts.body(started.model, None, *started.told, gpc=asked.gpc)
    return Answer(started.receipt, _body(vectors.vectors, request.encoding_format == "base64", tail))


def _never(_started: Started, _transcript: Transcript) -> None:
    """Stores nothing: `store` is never asked for."""


def _body(vectors: tuple[Vector, ...], packed: bool, tail: dict[str, Any]) -> Iterator[bytes]:
    """Piece by piece: 2048 vectors of 3072 numbers as JSON would take more memory than the function has."""
    yield b'{"object":"list","data":['
    for index, vector in enumerate(vectors):
        value = base64.b64encode(vector.tobytes()).decode() if packed else vector.tolist()
        yield (b"," if index else b"") + sse.compact({"object": "embedding", "index": index, "embedding": value})
    yield b"]," + sse.compact(tail)[1:]
