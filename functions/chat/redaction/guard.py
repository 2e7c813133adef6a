"""What stands between a request and everybody else, for as long as the request lives.

Guard.of(request, demand) ─▶ .hidden        what a provider is asked
                             .restoring()   what the caller is answered
                             .sealed()      what is stored
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from chat.redaction.detect import VALUE, Detector
from chat.redaction.placeholders import Placeholders
from chat.redaction.requests import Walk, chat_texts, closed, embedding_texts, rewritten
from chat.redaction.restoring import Restoring
from chat.redaction.storing import stored_form
from chat.requests import ChatRequest
from chatapi.errors import RedactionFailed
from chatapi.redaction import KINDS, kinds_of

if TYPE_CHECKING:
    from chat.embeddings import EmbeddingsRequest
    from chat.providers.base import Stream

R = TypeVar("R", bound="ChatRequest | EmbeddingsRequest")
T = TypeVar("T")


class Guard(Generic[R]):
    """The redaction of one request; `hidden` is the request as a provider may see it, `counts` how many values of each
    kind were hidden."""

    def __init__(self, request: R, demand: str) -> None:
        handling = request.data_handling
        kinds = set(kinds_of(demand))
        if handling is not None and handling.redact:
            kinds.update(KINDS if handling.redact is True else handling.redact)
        named = handling.redact_values if handling is not None else None
        self.kinds = tuple(kind for kind in KINDS if kind in kinds) + ((VALUE,) if named else ())
        detector = Detector(kinds, named or ())
        self._quoted = False
        hidden: ChatRequest | EmbeddingsRequest
        if isinstance(request, ChatRequest):
            self._quoted = (request.response_format or {"type": "text"})["type"] != "text"
            self.placeholders = Placeholders(detector, chat_texts(request))
            hidden = rewritten(request, Walk(self.placeholders.hide))
        else:
            # The vector of a text must not depend on the texts beside it: no numbers, and nothing is restored.
            texts = embedding_texts(request)
            self.placeholders = Placeholders(detector, texts, numbered=False)
            changed = [self.placeholders.hide(text) for text in texts]
            hidden = request.model_copy(update={"input": changed[0] if isinstance(request.input, str) else changed})
        self.hidden = cast(R, hidden)
        self.counts = dict(self.placeholders.counts)

    @classmethod
    def of(cls, request: R, demand: str) -> Guard[R]:
        """The guard of a request. BadRequest `redaction_not_possible` that names what cannot be redacted;
        RedactionFailed, with nothing of its cause, whatever else is the matter."""
        param = "messages" if isinstance(request, ChatRequest) else "input"
        return closed(lambda: cls(request, demand), param, RedactionFailed())

    def restoring(self, stream: Stream) -> Stream:
        """A provider's stream as the caller gets it."""
        return Restoring(stream, self.placeholders, quoted=self._quoted)

    def sealed(self, value: T) -> T:
        """What was answered as it is stored: with placeholders for the values of the request, and for those that the
        model came up with by itself. Strings of a JSON value, ids and names apart."""
        return stored_form(value, Walk(self.placeholders.seal))

    def again(self, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Stored choices of this same request with its values."""
        restored = self.placeholders.restored
        out = []
        for choice in choices:
            message = dict(choice["message"])
            if message.get("content"):
                message["content"] = restored(message["content"], quoted=self._quoted)
            if message.get("refusal"):
                message["refusal"] = restored(message["refusal"])
            if "tool_calls" in message:
                message["tool_calls"] = [
                    {**call, call["type"]: self._called(call[call["type"]])} for call in message["tool_calls"]
                ]
            out.append({**choice, "message": message})
        return out

    def items_again(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same for the items of a stored response."""
        return [
            {**item, "content": [self._part(part) for part in item["content"]]}
            if item["type"] in ("message", "reasoning")
            else self._called(item)
            for item in items
        ]

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        name = "refusal" if part["type"] == "refusal" else "text"
        quoted = self._quoted and part["type"] == "output_text"
        return {**part, name: self.placeholders.restored(part[name], quoted=quoted)}

    def _called(self, call: dict[str, Any]) -> dict[str, Any]:
        name = "input" if "input" in call else "arguments"
        return {**call, name: self.placeholders.restored(call[name], quoted=name == "arguments")}

    def header(self) -> str:
        """What the receipt's header says: kinds and how many different values, nothing of them."""
        told = ",".join(f"{kind}:{count}" for kind, count in sorted(self.counts.items()))
        return f"; redacted={told or 'none'}"

    def body(self) -> dict[str, Any]:
        """The same in the receipt's body."""
        return {"redaction": {"kinds": list(self.kinds), "values": dict(sorted(self.counts.items()))}}
