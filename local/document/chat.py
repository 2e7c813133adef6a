"""The description of chats, their stored completions, embeddings and models."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from chat.embeddings import EmbeddingsRequest
from chat.wire import ChatRequest, CompletionUpdate
from local.document.said import HANDLED, Absent, After, Id, Limit, Order, area, keyed, of, streamed, told

router = area()

_COMPLETION = "/v1/chat/completions/<id>"
OnceOnly = Annotated[
    str | Absent,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="What is sent twice under one key is generated once",
    ),
]


@router.post(
    "/v1/chat/completions",
    operation_id="createChatCompletion",
    summary="Create a chat completion",
    description="With `stream: true` the answer is a stream of server-sent events that ends with `[DONE]`; a failure "
    'in mid-stream is an event `data: {"error": …}`. Nothing is stored unless `store: true`.',
    tags=["chat"],
    responses={
        200: streamed(
            told("The completion, or its stream", "ChatCompletion", HANDLED),
            {"anyOf": [of("ChatCompletionChunk"), of("Error")]},
            ", and at the end [DONE]",
        ),
        **keyed(400, 404, 409, 413),
    },
)
def _create(body: Annotated[ChatRequest, Body()], idempotency_key: OnceOnly = None) -> None: ...


@router.get(
    "/v1/chat/completions",
    operation_id="listChatCompletions",
    summary="List stored completions",
    description="Filters: `model`, and `metadata[key]=value`, matched after decryption.",
    tags=["history"],
    responses={200: told("A page", "ChatCompletionList"), **keyed(400)},
)
def _list(
    after: After = None,
    limit: Limit = 20,
    order: Order = "asc",
    model: Annotated[str | Absent, Query(description="Of this model alone")] = None,
) -> None: ...


@router.get(
    _COMPLETION,
    operation_id="getChatCompletion",
    summary="Retrieve a stored completion",
    tags=["history"],
    responses={200: told("The completion", "StoredChatCompletion"), **keyed(404, 410)},
)
def _get(id: Id) -> None: ...


@router.post(
    _COMPLETION,
    operation_id="updateChatCompletion",
    summary="Replace the metadata of a stored completion",
    tags=["history"],
    responses={200: told("The completion", "StoredChatCompletion"), **keyed(400, 404, 410, 413)},
)
def _update(id: Id, body: Annotated[CompletionUpdate, Body()]) -> None: ...


@router.delete(
    _COMPLETION,
    operation_id="deleteChatCompletion",
    summary="Delete a stored completion",
    tags=["history"],
    responses={200: told("Deleted", "ChatCompletionDeleted"), **keyed(404)},
)
def _delete(id: Id) -> None: ...


@router.get(
    f"{_COMPLETION}/messages",
    operation_id="getChatCompletionMessages",
    summary="The messages of a stored completion",
    tags=["history"],
    responses={200: told("A page", "ChatCompletionMessageList"), **keyed(400, 404, 410)},
)
def _messages(id: Id, after: After = None, limit: Limit = 20, order: Order = "asc") -> None: ...


@router.post(
    "/v1/embeddings",
    operation_id="createEmbedding",
    summary="Create embeddings",
    description="A vector for each input. Nothing of it is stored.",
    tags=["chat"],
    responses={200: told("The vectors", "CreateEmbeddingResponse", HANDLED), **keyed(400, 404, 413)},
)
def _embed(body: Annotated[EmbeddingsRequest, Body()]) -> None: ...


@router.get(
    "/v1/models",
    operation_id="listModels",
    summary="List the models on offer",
    tags=["chat"],
    responses={200: told("All models", "ModelList"), **keyed()},
)
def _models() -> None: ...


@router.get(
    "/v1/models/<id>",
    operation_id="getModel",
    summary="One model",
    tags=["chat"],
    responses={200: told("The model", "Model"), **keyed(404)},
)
def _model(id: Id) -> None: ...
