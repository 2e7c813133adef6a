"""Which text of which record may be corrected, and where it stands: a JSON Pointer (RFC 6901) into the record as an
export shows it. Only a text that is there is replaced by a text: no shape changes."""

from __future__ import annotations

import re
from typing import Any

COMPLETION, CONVERSATION, RESPONSE, ITEM, CONTACT = "completion", "conversation", "response", "item", "contact"
MAX_METADATA = 512
"""Characters of a value of `metadata`, as everywhere in the API."""
_PREFIXES = {"chatcmpl-": COMPLETION, "conv_": CONVERSATION, "resp_": RESPONSE}
_PREFIXES |= dict.fromkeys(("msg_", "fc_", "fco_"), ITEM)
_N = r"/[0-9]{1,4}"
_OF_ITEM = rf"(/content({_N}/text)?|/arguments|/output({_N}/text)?)"
_METADATA = r"/metadata/[^/]{1,128}"
_PATHS = {
    COMPLETION: (
        rf"/messages{_N}(/content({_N}/text)?|/name|/tool_calls{_N}/function/arguments)"
        rf"|/completion/choices{_N}/message(/content|/refusal|/tool_calls{_N}/function/arguments)"
        rf"|/completion{_METADATA}"
    ),
    RESPONSE: rf"/(input|response/output){_N}{_OF_ITEM}|/response/instructions|/response{_METADATA}",
    CONVERSATION: _METADATA,
    ITEM: _OF_ITEM,
    CONTACT: "/address",
}


def kind_of(record: str) -> str | None:
    """The kind of a record, from its id; None where nothing of it can be corrected."""
    if record == CONTACT:
        return CONTACT
    return next((kind for prefix, kind in _PREFIXES.items() if record.startswith(prefix)), None)


def is_place(kind: str, path: str) -> bool:
    """Whether records of a kind have a text there that may be corrected."""
    return re.fullmatch(_PATHS[kind], path) is not None


def fits(path: str, value: str) -> bool:
    """Whether a text is no longer than the place takes."""
    return "/metadata/" not in path or len(value) <= MAX_METADATA


def text_at(body: Any, path: str) -> str | None:
    """The text at a place; None where there is none."""
    found = _step_to(body, path)
    return found[0][found[1]] if found else None


def write(body: Any, path: str, value: str) -> bool:
    """Replace the text at a place. False where there is none."""
    found = _step_to(body, path)
    if found is None:
        return False
    found[0][found[1]] = value
    return True


def _step_to(body: Any, path: str) -> tuple[Any, str | int] | None:
    """What holds the text, and under which key or index."""
    *parents, last = (step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    for step in parents:
        key = _key(body, step)
        if key is None:
            return None
        body = body[key]
    key = _key(body, last)
    return (body, key) if key is not None and isinstance(body[key], str) else None


def _key(body: Any, step: str) -> str | int | None:
    if isinstance(body, dict):
        return step if step in body else None
    if isinstance(body, list) and step.isascii() and step.isdigit() and str(int(step)) == step:
        return int(step) if int(step) < len(body) else None
    return None
