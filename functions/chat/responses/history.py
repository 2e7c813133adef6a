"""What a response is told of the past, and what is kept of it: the stored responses and the conversation it names.

A stored response holds its own input and output and the id of the one before, no copy of what that held: each turn lies
under the key of its own data subject and ends at its own time. A chain with a missing link is 404, not a shorter chain.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from chat.responses.conversations import Conversations, Shared
from chat.responses.translate import PREFIXES, Item
from chat.responses.wire import ResponseCreate
from chatapi import retention
from chatapi.errors import BadRequest, Forbidden, NotFound, RetentionNotPermitted
from chatapi.ids import Family, token_of
from chatapi.store.records import Records
from chatapi.vault import SubjectHandle
from chatapi.verdict import MAX_BODY_BYTES, Verdict

PREFIX = "resp_"
LONGEST_CHAIN = 128


@dataclass(frozen=True)
class Context:
    """The items before the request's own, oldest first; their size in bytes; and whose they are. `subject` is the data
    subject of the last turn: the request's own, where it names nobody."""

    items: tuple[Item, ...] = ()
    size: int = 0
    subject: str | None = None
    subjects: frozenset[str] = frozenset()
    conversation: Shared | None = None

    @property
    def until(self) -> int | None:
        """When the conversation ends, and with it what is added to it."""
        return self.conversation.record.expires if self.conversation else None


@dataclass(frozen=True)
class Stored:
    """A stored response: what was answered, and the input items, each with an id."""

    handle: SubjectHandle
    response: dict[str, Any]
    input: list[Item]
    size: int


class History:
    """Reads and keeps responses. Everything is the calling project's own."""

    def __init__(self, records: Records, conversations: Conversations) -> None:
        self._records = records
        self.conversations = conversations

    def context(self, request: ResponseCreate, caller: Verdict) -> Context:
        """What the request builds on. NotFound where that is not this project's."""
        conversation, previous = request.conversation_id, request.previous_response_id
        if conversation is not None and previous is not None:
            raise BadRequest(
                "previous_response_id and conversation exclude each other.",
                code="invalid_value",
                param="previous_response_id",
            )
        if conversation is not None:
            may_read(caller, "conversation")
            return self._conversation(caller.project, conversation)
        if previous is not None:
            may_read(caller, "previous_response_id")
            return self._chain(caller.project, previous)
        return Context()

    def _conversation(self, project: str, conversation: str) -> Context:
        try:
            shared = self.conversations.find(project, conversation)
        except NotFound:
            raise NotFound(param="conversation") from None
        size, items = 0, []
        for item in self.conversations.items(shared):
            size += _weight(item)
            _bound(size, "conversation")
            items.append(item)
        people = frozenset(subject for subject, _ in shared.people)
        return Context(tuple(items), size, shared.handle.subject, people, shared)

    def _chain(self, project: str, previous: str) -> Context:
        turns: list[list[Item]] = []
        subjects: list[str] = []
        size, near = 0, None
        wanted: str | None = previous
        while wanted is not None:
            if len(turns) == LONGEST_CHAIN:
                raise _unsuitable("This chain of responses is too long. Use a conversation.")
            try:
                found = self.find(project, wanted, near)
            except NotFound:
                raise NotFound(param="previous_response_id") from None
            if found.response["conversation"]:
                raise _unsuitable("That response was given in a conversation. Name the conversation instead.")
            size += found.size
            _bound(size, "previous_response_id")
            turns.append([*found.input, *found.response["output"]])
            subjects.append(found.handle.subject)
            near, wanted = found.handle, found.response["previous_response_id"]
        items = tuple(item for turn in reversed(turns) for item in turn)
        return Context(items, size, subjects[0], frozenset(subjects))

    def find(self, project: str, response: str, near: SubjectHandle | None = None) -> Stored:
        """A stored response. `near`: where to look first, since a chain is mostly one person's. NotFound."""
        if token_of(PREFIX, response) is None:
            raise NotFound
        if near is not None:
            with suppress(NotFound):
                record = self._records.get(near, "response", response)
                return _stored(near, record.body)
        handle, record = self._records.find(project, "response", response)
        return _stored(handle, record.body)

    def referenced(
        self, caller: Verdict, wanted: Sequence[tuple[str, str]], context: Context
    ) -> tuple[Mapping[str, Item], Context]:
        """The stored items that a request names by their ids, each with the parameter that names it; and the context
        with what they add to its size and people. A response is read once, however many of its items are named.
        NotFound, BadRequest where they are too much."""
        if not wanted:
            return {}, context
        may_read(caller, wanted[0][1])
        times = Counter(name for name, _ in wanted)
        found = {item["id"]: item for item in context.items if item["id"] in times}
        missing: dict[str, dict[str, str]] = {}
        for name, param in wanted:
            if name not in found:
                missing.setdefault(_response_of(name, param), {}).setdefault(name, param)
        if len(missing) > LONGEST_CHAIN:
            raise BadRequest("The items are of too many responses.", code="invalid_value", param="input")
        size, subjects = sum(_weight(item) * times[name] for name, item in found.items()), set(context.subjects)
        for response, names in missing.items():
            theirs: dict[str, Item] = {}
            with suppress(NotFound):
                stored = self.find(caller.project, response)
                subjects.add(stored.handle.subject)
                theirs = {item["id"]: item for item in (*stored.input, *stored.response["output"])}
            for name, param in names.items():
                if name not in theirs:
                    raise NotFound(param=param)
                found[name] = theirs[name]
                size += _weight(theirs[name]) * times[name]
            _bound(size, "input")
        return found, replace(context, size=context.size + size, subjects=frozenset(subjects))

    def keep(
        self,
        handle: SubjectHandle,
        request: ResponseCreate,
        response: dict[str, Any],
        own: list[Item],
        context: Context,
        created: float,
        until: int | None,
    ) -> None:
        """Store the response, its items in the conversation, or both: whatever was asked for, or nothing at all. Until
        the latest at `until`."""
        name = response["id"]
        if request.store:
            body = json.dumps({"response": response, "input": own}, separators=(",", ":")).encode()
            self._records.put(handle, "response", [(name, body)], created=created, until=until)
        if context.conversation is not None and request.keeps_items:
            try:
                self.conversations.add(context.conversation, handle, [*own, *response["output"]], until)
            except Exception:
                if request.store:
                    self._records.delete(handle, "response", name)
                raise

    def delete(self, stored: Stored) -> None:
        """Delete a stored response."""
        self._records.delete(stored.handle, "response", stored.response["id"], children=("statement",))


def may_read(caller: Verdict, param: str) -> None:
    """Whether a request may bring stored content before the model, which may then say it: as if it read it."""
    if retention.seconds(caller.retention) == 0:
        raise RetentionNotPermitted(param)
    if "history" not in caller.scopes:
        raise Forbidden(param=param)


def _response_of(item: str, param: str) -> str:
    """The response that an item's id leads to: they are of one family. NotFound of `param`."""
    token = next((token for prefix in PREFIXES if (token := token_of(prefix, item))), None)
    if token is None:
        raise NotFound(param=param)
    return PREFIX + Family.of(token).token(0)


def _unsuitable(message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param="previous_response_id")


def _bound(size: int, param: str) -> None:
    if size > MAX_BODY_BYTES:
        raise BadRequest(
            "What this builds on is longer than a request may be.", code="context_length_exceeded", param=param
        )


def _weight(item: Item) -> int:
    return len(json.dumps(item))


def _stored(handle: SubjectHandle, body: bytes) -> Stored:
    read = json.loads(body)
    return Stored(handle, read["response"], read["input"], len(body))
