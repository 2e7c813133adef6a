"""The description of responses and conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import Field

from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate, ResponseCreate
from local.document.chat import OnceOnly
from local.document.said import HANDLED, Absent, After, Id, Limit, Order, area, keyed, of, streamed, told

router = area()

_RESPONSE = "/v1/responses/<id>"
_CONVERSATION = "/v1/conversations/<id>"
_ITEM = f"{_CONVERSATION}/items/<item>"


@router.post(
    "/v1/responses",
    operation_id="createResponse",
    summary="Create a response",
    description="With `stream: true` the answer is a stream of server-sent events that ends with "
    "`response.completed`, `response.incomplete`, or after an `error` event with `response.failed`. Nothing is stored "
    "unless `store: true`, or a `conversation` is named without `store: false`.",
    tags=["chat"],
    responses={
        200: streamed(told("The response, or its stream", "Response", HANDLED), of("ResponseStreamEvent")),
        **keyed(400, 404, 409, 410, 413),
    },
)
def _create(body: Annotated[ResponseCreate, Body()], idempotency_key: OnceOnly = None) -> None: ...


@router.get(
    _RESPONSE,
    operation_id="getResponse",
    summary="Retrieve a stored response",
    tags=["history"],
    responses={
        200: streamed(told("The response, or its events", "Response"), of("ResponseStreamEvent")),
        **keyed(400, 404, 410),
    },
)
def _get(
    id: Id,
    stream: Annotated[
        Literal["true", "false"] | Absent,
        Query(description="`true`: the events of the stored response once more, each text in one piece"),
    ] = None,
    starting_after: Annotated[
        Annotated[int, Field(ge=0)] | Absent,
        Query(description="With `stream=true`, the sequence number after which to begin"),
    ] = None,
) -> None: ...


@router.delete(
    _RESPONSE,
    operation_id="deleteResponse",
    summary="Delete a stored response",
    tags=["history"],
    responses={200: told("Deleted", "ResponseDeleted"), **keyed(404, 410)},
)
def _delete(id: Id) -> None: ...


@router.get(
    f"{_RESPONSE}/input_items",
    operation_id="listInputItems",
    summary="List the input items of a stored response",
    tags=["history"],
    responses={200: told("A page", "ResponseItemList"), **keyed(400, 404, 410)},
)
def _input_items(id: Id, after: After = None, limit: Limit = 20, order: Order = "desc") -> None: ...


@router.post(
    f"{_RESPONSE}/cancel",
    operation_id="cancelResponse",
    summary="Cancel a response",
    description="Of a stored response always 400 `response_not_cancellable`: only background responses can be "
    "cancelled, and there are none. Hang up to stop a response.",
    tags=["history"],
    responses={200: told("Never: nothing here runs in the background", "Response"), **keyed(400, 404, 410)},
)
def _cancel(id: Id) -> None: ...


@router.post(
    "/v1/conversations",
    operation_id="createConversation",
    summary="Create a conversation",
    tags=["history"],
    responses={200: told("The conversation", "Conversation"), **keyed(400, 413)},
)
def _begin(body: Annotated[ConversationCreate | Absent, Body()] = None) -> None: ...


@router.get(
    _CONVERSATION,
    operation_id="getConversation",
    summary="Retrieve a conversation",
    tags=["history"],
    responses={200: told("The conversation", "Conversation"), **keyed(404, 410)},
)
def _conversation(id: Id) -> None: ...


@router.post(
    _CONVERSATION,
    operation_id="updateConversation",
    summary="Replace the metadata of a conversation",
    tags=["history"],
    responses={200: told("The conversation", "Conversation"), **keyed(400, 404, 409, 410, 413)},
)
def _update(id: Id, body: Annotated[ConversationUpdate, Body()]) -> None: ...


@router.delete(
    _CONVERSATION,
    operation_id="deleteConversation",
    summary="Delete a conversation with all its items",
    tags=["history"],
    responses={200: told("Deleted", "ConversationDeletedResource"), **keyed(404, 410)},
)
def _end(id: Id) -> None: ...


@router.get(
    f"{_CONVERSATION}/items",
    operation_id="listConversationItems",
    summary="List the items of a conversation",
    tags=["history"],
    responses={200: told("A page", "ConversationItemList"), **keyed(400, 404, 410)},
)
def _items(id: Id, after: After = None, limit: Limit = 20, order: Order = "desc") -> None: ...


@router.post(
    f"{_CONVERSATION}/items",
    operation_id="createConversationItems",
    summary="Add items to a conversation",
    tags=["history"],
    responses={
        200: told("The items as they are kept", "ConversationItemList"),
        **keyed(400, 404, 409, 410, 413),
    },
)
def _add(id: Id, body: Annotated[ItemsCreate, Body()]) -> None: ...


@router.get(
    _ITEM,
    operation_id="getConversationItem",
    summary="Retrieve an item",
    tags=["history"],
    responses={200: told("The item", "ConversationItem"), **keyed(404, 410)},
)
def _item(id: Id, item: Id) -> None: ...


@router.delete(
    _ITEM,
    operation_id="deleteConversationItem",
    summary="Delete an item",
    tags=["history"],
    responses={200: told("The conversation", "Conversation"), **keyed(404, 410)},
)
def _remove(id: Id, item: Id) -> None: ...
