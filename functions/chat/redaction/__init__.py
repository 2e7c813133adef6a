"""Redaction, where a project, a key or a request demands it: the model sees placeholders, the caller sees values.

    request ─▶ detect ─▶ <EMAIL_1> ─▶ provider ─▶ <EMAIL_1> ─▶ restore ─▶ caller
                 │                                                └─▶ seal ─▶ store: placeholders, never restored
                 └─ anything that fails, or cannot be read: nothing is sent

The map between the two lives in the memory of this one request. Nothing in here is imported by a chat that does not ask
for it (docs/redaction.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from chat.embeddings import EmbeddingsRequest
    from chat.redaction.guard import Guard
    from chat.requests import ChatRequest
    from chatapi.verdict import Verdict

R = TypeVar("R", bound="ChatRequest | EmbeddingsRequest")


def guarded(request: R, caller: Verdict) -> tuple[Guard[R] | None, R]:
    """The guard of a request for which redaction is demanded, and the request as a provider may see it. A request adds
    to what its project and key demand, and takes nothing away. Raises BadRequest and RedactionFailed (`Guard.of`)."""
    asked = request.data_handling
    if not (caller.redact or (asked is not None and (asked.redact or asked.redact_values))):
        return None, request
    from chat.redaction.guard import Guard

    guard = Guard.of(request, caller.redact)
    return guard, guard.hidden
