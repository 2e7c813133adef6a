"""The request for a chat completion, validated.

What is valid goes on as plain dictionaries. An error names the field by its path, and of the request nothing but that
path.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import SchemaValidator

from chat import checks, turns
from chatapi.bodies import parsed
from chatapi.compiled import Compiled, schemas
from chatapi.verdict import DEFAULT_OUTPUT_TOKENS

if TYPE_CHECKING:
    from chat.wire import ChatRequest as _ChatFields
    from chat.wire import CompletionUpdate as _UpdateFields
else:
    _ChatFields = _UpdateFields = Compiled


class ChatRequest(_ChatFields):
    """The body of POST /v1/chat/completions: the fields of its model in chat/wire.py."""

    @property
    def output_tokens(self) -> int:
        """The cap on the answer: `max_completion_tokens`, else `max_tokens`, else 1024."""
        return self.max_completion_tokens or self.max_tokens or DEFAULT_OUTPUT_TOKENS

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage is True

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.n or 1


class CompletionUpdate(_UpdateFields):
    """The body of POST /v1/chat/completions/{id}."""


_NAMED: dict[str, object] = {each.__name__: each for each in (*checks.ALL, ChatRequest, CompletionUpdate)}
_NAMED |= dict.fromkeys(("StreamOptions", "DataHandling"), Compiled)
_schemas = schemas(Path(__file__).with_name("requests.json"), _NAMED)
for _body in (ChatRequest, CompletionUpdate):
    setattr(_body, "compiled", SchemaValidator(**_schemas[_body.__name__]))  # noqa: B010 - to mypy they are the models
_KNOWN = frozenset(_schemas["known"])
_FREE = frozenset(("metadata", "logit_bias", "parameters", "response_format", "tool_choice", "audio", "prediction"))


def parse(body: bytes | None) -> ChatRequest:
    """The request of a body. BadRequest with a stable code and the field's path."""
    request = parsed(ChatRequest, body or b"", known=_KNOWN, free=_FREE)
    turns.check_messages(request.messages)
    return request


def parse_update(body: bytes | None) -> dict[str, str]:
    """The metadata of an update; null takes all away. BadRequest as in `parse`."""
    return parsed(CompletionUpdate, body or b"", known=_KNOWN, free=_FREE).metadata or {}
