"""What is stored of responses and conversations: read, listed, changed and deleted, in OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chat.providers.base import Event, FinishReason, Reasoning, Refusal, Sealed, Text, ToolArguments, ToolStart
from chat.responses.conversations import PREFIX, Conversations, Shared, bounded
from chat.responses.events import Answering
from chat.responses.history import History
from chat.responses.translate import Item, full, item_id
from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate
from chat.stored import page, paging
from chatapi import retention
from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import BadRequest, RetentionNotPermitted
from chatapi.ids import Family
from chatapi.store.records import Records
from chatapi.vault import SubjectHandle
from chatapi.verdict import Verdict

Query = Mapping[str, str]


class SubjectOf(Protocol):
    """Names the data subject of a request."""

    def __call__(self, project: str, user: str | None, safety_identifier: str | None) -> str:
        """The end user that is named, else the project's owner."""
        ...


class StoredResponses:
    """The service behind /v1/responses/{id} and what is below it. Everything is the calling project's own."""

    def __init__(self, history: History) -> None:
        self._history = history

    def retrieve(self, project: str, response: str) -> dict[str, Any]:
        """The response. NotFound or SubjectErased."""
        return self._history.find(project, response).response

    def replay(self, project: str, response: str, query: Query) -> Iterator[bytes]:
        """The events of a stored response, each text in one piece; those past `starting_after`."""
        after = query.get("starting_after", "-1")
        if after != "-1" and (not after.isdecimal() or len(after) > 9):
            raise BadRequest("starting_after is a sequence number.", code="invalid_value", param="starting_after")
        return replayed(self._history.find(project, response).response, int(after))

    def input_items(self, project: str, response: str, query: Query) -> dict[str, Any]:
        """The items of the request's own input, the latest first where no order is given, as at OpenAI."""
        limit, descending, after = paging({"order": "desc", **query})
        items = self._history.find(project, response).input
        if descending:
            items = items[::-1]
        if after is not None:
            ids = [item["id"] for item in items]
            items = items[ids.index(after) + 1 :] if after in ids else []
        # Items of a request have a status here, those of an answer or a conversation that are custom calls have none.
        return listed([{"status": "completed", **item} for item in items[:limit]], more=len(items) > limit)

    def delete(self, project: str, response: str) -> dict[str, Any]:
        """Delete it."""
        self._history.delete(self._history.find(project, response))
        return {"id": response, "object": "response.deleted", "deleted": True}

    def cancel(self, project: str, response: str) -> dict[str, Any]:
        """Always a refusal: only what runs in the background can be cancelled, and nothing here does. A caller stops a
        response by hanging up; what is stored has ended."""
        self._history.find(project, response)
        raise BadRequest("Cannot cancel a synchronous response.", code="response_not_cancellable", param="response_id")


def replayed(response: dict[str, Any], after: int) -> Iterator[bytes]:
    """The events of a stored response from the one past `after` on, each text in one piece."""
    reason: FinishReason = "stop"
    if response["incomplete_details"]:
        reason = "length" if response["incomplete_details"]["reason"] == "max_output_tokens" else "content_filter"
    unfinished: dict[str, Any] = {**response, "status": "in_progress", "output": [], "usage": None}
    unfinished |= {"completed_at": None, "incomplete_details": None}
    tokens = (item["id"].rpartition("_")[2] for item in response["output"])
    answering = Answering(unfinished, lambda: next(tokens))
    frames = [answering.begin()]
    for index, item in enumerate(response["output"]):
        if "content" in item:
            frames += [answering.add(_spoken(part)) for part in item["content"]]
            if item.get("encrypted_content"):
                frames.append(answering.add(Sealed(item["encrypted_content"])))
            continue
        custom = item["type"] == "custom_tool_call"
        frames.append(answering.add(ToolStart(index, item["call_id"], item["name"], custom)))
        frames.append(answering.add(ToolArguments(index, item["input" if custom else "arguments"])))
    answering.settle(reason, response["usage"], response["completed_at"] or 0)
    frames.append(answering.end())
    events = [event + b"\n\n" for event in b"".join(frames).split(b"\n\n") if event]
    yield from events[after + 1 :]


def _spoken(part: Mapping[str, Any]) -> Event:
    match part["type"]:
        case "refusal":
            return Refusal(part["refusal"])
        case "reasoning_text":
            return Reasoning(part["text"])
    return Text(part["text"], tuple(part["logprobs"]))


class StoredConversations:
    """The service behind /v1/conversations. `subject_of` is the chat's own (`Chat.subject`)."""

    def __init__(self, subject_of: SubjectOf, records: Records, conversations: Conversations, clock: Clock) -> None:
        self._records = records
        self._conversations = conversations
        self._subject_of = subject_of
        self._clock = clock

    def create(self, caller: Verdict, body: ConversationCreate) -> dict[str, Any]:
        """A new conversation, with its first items."""
        _may_store(caller)
        handle = self._writer(caller, body)
        now = self._clock.now()
        family = Family.new(now)
        until = expiry("conversation", now, ceiling_seconds=retention.seconds(caller.retention))
        items = _named(body.items or [], family, caller)
        made = self._conversations.create(handle, PREFIX + family.token(0), dict(body.metadata or {}), now, until)
        if items:
            self._conversations.add(made, handle, items)
        return made.wire()

    def retrieve(self, project: str, conversation: str) -> dict[str, Any]:
        """The conversation. NotFound or SubjectErased."""
        return self._conversations.find(project, conversation).wire()

    def update(self, caller: Verdict, conversation: str, body: ConversationUpdate) -> dict[str, Any]:
        """Replace its metadata."""
        _may_store(caller)
        shared = self._conversations.find(caller.project, conversation)
        return self._conversations.describe(shared, dict(body.metadata or {})).wire()

    def delete(self, project: str, conversation: str) -> dict[str, Any]:
        """Delete it with all its items."""
        self._conversations.delete(self._conversations.find(project, conversation))
        return {"id": conversation, "object": "conversation.deleted", "deleted": True}

    def add(self, caller: Verdict, conversation: str, body: ItemsCreate) -> dict[str, Any]:
        """Add items; they are the named person's, else of whom the conversation is."""
        _may_store(caller)
        shared = self._conversations.find(caller.project, conversation)
        items = _named(body.items, Family.new(self._clock.now()), caller)
        self._conversations.add(shared, self._writer(caller, body, shared), items)
        return listed(items, more=False)

    def items(self, project: str, conversation: str, query: Query) -> dict[str, Any]:
        """A page of items, the latest first where no order is given, as at OpenAI."""
        limit, descending, after = paging({"order": "desc", **query})
        shared = self._conversations.find(project, conversation)
        found, more = bounded(self._conversations.items(shared, after=after, descending=descending), limit)
        return listed(found, more=more)

    def item(self, project: str, conversation: str, item: str) -> dict[str, Any]:
        """One item."""
        return self._conversations.item(self._conversations.find(project, conversation), item)

    def remove(self, project: str, conversation: str, item: str) -> dict[str, Any]:
        """Delete one item; the conversation is the answer."""
        shared = self._conversations.find(project, conversation)
        self._conversations.remove(shared, item)
        return shared.wire()

    def _writer(
        self, caller: Verdict, body: ConversationCreate | ItemsCreate, shared: Shared | None = None
    ) -> SubjectHandle:
        if shared is not None and (body.safety_identifier or body.user) is None:
            return shared.handle
        subject = self._subject_of(caller.project, body.user, body.safety_identifier)
        return self._records.writer(caller.project, subject, key=caller.key)


def _may_store(caller: Verdict) -> None:
    if retention.seconds(caller.retention) == 0:
        raise RetentionNotPermitted("conversation")


def _named(items: list[Any], family: Family, caller: Verdict) -> list[Item]:
    """The items as they are stored: redacted, where project or key demand that."""
    made = [{**item, "id": item_id(item, family.token(number))} for number, item in enumerate(map(full, items), 1)]
    if not caller.redact:
        return made
    from chat.redaction.storing import redacted_items

    return redacted_items(made, caller.redact)


def listed(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A list whose `first_id` and `last_id` are strings also where it is empty, as the types of these lists have it."""
    made = page(data, more=more)
    return {**made, "first_id": made["first_id"] or "", "last_id": made["last_id"] or ""}
