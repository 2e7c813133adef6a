"""`truncation: "auto"`: what is too long for the model's context loses its oldest items (OpenAI API reference,
"Create a model response").

The window is that of policy/models.toml, the size an estimate on the safe side: a token for each three bytes of what
is sent. `instructions`, and messages of the system or the developer among the items, stay: they are what the answer is
held to. A call and what came of it go together, since providers refuse the one without the other, and they stay where
the last item is the one or the other.
"""

from __future__ import annotations

import json

from chat.responses.translate import Item, messages
from chat.responses.wire import ResponseCreate
from chatapi.verdict import DEFAULT_OUTPUT_TOKENS

_BYTES_A_TOKEN = 3
_LASTING = ("system", "developer")


def fitting(request: ResponseCreate, items: list[Item], size: int, window: int) -> tuple[list[Item], int]:
    """The items that fit beside the answer into `window` tokens, the last one always, and the size in bytes of what is
    left of `size`."""
    told = (request.instructions or "").encode(errors="replace")
    fixed = len(told) + sum(len(json.dumps(tool)) for tool in request.tools or ())
    room = (window - (request.max_output_tokens or DEFAULT_OUTPUT_TOKENS)) * _BYTES_A_TOKEN - fixed
    weights = [
        len(json.dumps(messages(None, [item]), ensure_ascii=False).encode(errors="replace"))
        + len(item.get("encrypted_content") or "")
        for item in items
    ]
    total = sum(weights)
    last_call = items[-1].get("call_id")
    dropped: set[int] = set()
    for at, item in enumerate(items[:-1]):
        if total <= room:
            break
        if item.get("role") not in _LASTING and (last_call is None or item.get("call_id") != last_call):
            dropped.add(at)
            total -= weights[at]
    gone = {items[at]["call_id"] for at in dropped if "call_id" in items[at]}
    dropped |= {at for at, item in enumerate(items) if item.get("call_id") in gone}
    left = [item for at, item in enumerate(items) if at not in dropped]
    return left, max(0, size - sum(weights[at] for at in dropped))
