"""The routes of /v1/responses and /v1/conversations. Loaded when one of them is first called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from chat.accounting import Account
from chat.receipts import FROM_STORE, HEADER
from chat.replays import Replays
from chat.responses.conversations import Conversations
from chat.responses.history import History
from chat.responses.service import Responses
from chat.responses.stored import StoredConversations, StoredResponses
from chat.responses.wire import ConversationCreate, ConversationUpdate, ItemsCreate, ResponseCreate, parse
from chat.service import Chat
from chat.sse import compact
from chatapi.clock import Clock
from chatapi.errors import NotFound
from chatapi.store.records import Records
from chatapi.vault import Vault
from chatapi.verdict import Verdict

Answered = tuple[dict[str, str], Iterator[bytes]]


class Asked(NamedTuple):
    """A request: `body` reads and bounds it, `timeout` in seconds for all of it, `key` its Idempotency-Key."""

    method: str
    resource: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Callable[[], bytes]
    timeout: float
    key: str | None = None


@dataclass(frozen=True)
class Surface:
    """The services behind these routes."""

    responses: Responses
    stored: StoredResponses
    conversations: StoredConversations

    @classmethod
    def over(cls, chat: Chat, records: Records, vault: Vault, replays: Replays, clock: Clock) -> Surface:
        """The services over a chat and the stores."""
        conversations = Conversations(records, vault)
        history = History(records, conversations)
        return cls(
            Responses(chat, history, replays, clock),
            StoredResponses(history),
            StoredConversations(chat.subject, records, conversations, clock),
        )

    def answer(self, asked: Asked, caller: Verdict, account: Account) -> Answered:
        """Headers and body. NotFound for a route that is not one of these."""
        if (asked.method, asked.resource) == ("POST", "/v1/responses"):
            body = asked.body()
            request = parse(ResponseCreate, body)
            made = self.responses.create(request, body, caller, account, asked.timeout, asked.key)
            return made.headers, made.body
        name = asked.path.get("id", "")
        if (asked.method, asked.resource) == ("GET", "/v1/responses/{id}") and asked.query.get("stream") == "true":
            replay = self.stored.replay(caller.project, name, asked.query)
            return {"content-type": "text/event-stream; charset=utf-8", HEADER: FROM_STORE}, replay
        read = self._reads(asked, caller, name).get((asked.method, asked.resource))
        if read is None or len(name) > 128:
            raise NotFound
        return {HEADER: FROM_STORE} if asked.method == "GET" else {}, iter([compact(read())])

    def _reads(self, asked: Asked, caller: Verdict, name: str) -> dict[tuple[str, str], Callable[[], dict[str, Any]]]:
        project, stored, shared = caller.project, self.stored, self.conversations
        item = asked.path.get("item", "")
        one, items, each = (
            "/v1/conversations/{id}",
            "/v1/conversations/{id}/items",
            "/v1/conversations/{id}/items/{item}",
        )
        return {
            ("GET", "/v1/responses/{id}"): lambda: stored.retrieve(project, name),
            ("DELETE", "/v1/responses/{id}"): lambda: stored.delete(project, name),
            ("GET", "/v1/responses/{id}/input_items"): lambda: stored.input_items(project, name, asked.query),
            ("POST", "/v1/responses/{id}/cancel"): lambda: stored.cancel(project, name),
            ("POST", "/v1/conversations"): lambda: shared.create(caller, _body(ConversationCreate, asked.body())),
            ("GET", one): lambda: shared.retrieve(project, name),
            ("POST", one): lambda: shared.update(caller, name, parse(ConversationUpdate, asked.body())),
            ("DELETE", one): lambda: shared.delete(project, name),
            ("GET", items): lambda: shared.items(project, name, asked.query),
            ("POST", items): lambda: shared.add(caller, name, parse(ItemsCreate, asked.body())),
            ("GET", each): lambda: shared.item(project, name, item),
            ("DELETE", each): lambda: shared.remove(project, name, item),
        }


def _body(shape: type[ConversationCreate], body: bytes) -> ConversationCreate:
    """Everything in it is optional, and so is the body: Node's client sends none where nothing is given."""
    return parse(shape, body or b"{}")
