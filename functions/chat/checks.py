"""What a type cannot say of a body: the validators of chat/shapes.py. pydantic is not loaded for them.

They raise fixed texts: nothing of the request may travel in one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chatapi.bodies import wrong

if TYPE_CHECKING:
    from chat.shapes import CustomFormat, Message

_SENT_AS = {"image_url": "url", "file": "file_data"}


def finite(value: Any) -> Any:
    """Refuse NaN and infinities, which the parser takes: no JSON that is sent on or kept may hold one (RFC 8259)."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, float) and not math.isfinite(found):
            raise wrong("A number is not finite.")
        if isinstance(found, dict | list):
            left += found.values() if isinstance(found, dict) else found
    return value


def self_contained(part: Any) -> Any:
    """Refuse a part without what its type names; an image by address and a file by id: fetching the one would send the
    server where the caller points (OWASP, SSRF), the other is a file of the provider's account, not the caller's."""
    kind = part["type"]
    if not isinstance(part.get(kind), str if kind in ("text", "refusal") else dict):
        raise wrong("A content part has a field of the name that its type says: a text, or an object.")
    if kind in _SENT_AS:
        url = part[kind].get(_SENT_AS[kind])
        if not isinstance(url, str) or not url.startswith("data:") or "file_id" in part[kind]:
            raise wrong("Images and files are sent as data URLs: nothing is fetched from addresses or by ids.")
    return finite(part)


def is_custom(value: Any) -> str:
    """The tag of a union of functions and custom tools: what is neither is refused by its type, as a function. In
    brackets, so that in an error's location it is not taken for the name of a field."""
    return "<custom>" if isinstance(value, dict) and value.get("type") == "custom" else "<function>"


def with_its_grammar(given: CustomFormat) -> CustomFormat:
    """Refuse a format that has a grammar and is of another type, or the reverse."""
    if (given["type"] == "grammar") != ("grammar" in given):
        raise wrong("A format of type grammar has a grammar, and no other has.")
    return given


def without_null_calls(message: Message) -> Message:
    """Without the null that `model_dump()` of OpenAI's SDK says where a message has no calls."""
    if message.get("tool_calls", ()) is None:
        del message["tool_calls"]
    return message


ALL = (finite, is_custom, self_contained, with_its_grammar, without_null_calls)
"""Those that compiled models name."""
