"""The openai package's own types as a judge: nothing wrong, nothing missing, nothing that they do not know.

The package itself is lenient (it never validates what a server says, and takes unknown fields), so its types, which are
generated from OpenAI's specification, are asked strictly by pydantic, and then each model of the result for what it had
no field for. `openai_types` asks more of chat completions, whose objects are always whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

OURS = {
    "ChatCompletion": {"data_handling"},
    "ChatCompletionChunk": {"data_handling"},
    "CreateEmbeddingResponse": {"data_handling"},
    "Model": {"chatapi"},
}
"""The documented fields that OpenAI's types do not have (docs/chat.md)."""


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def strictly(shape: Any, value: Any, *, ours: frozenset[str] = frozenset()) -> Any:
    """`value`, decoded JSON, as `shape`. `ours` are the paths of further fields that may be there."""
    model = _adapter(shape).validate_python(value, strict=True)
    unknown = {
        f"{path}.{name}"
        for path, found in models(model)
        for name in found.model_extra or ()
        if name not in OURS.get(type(found).__name__, ())
    }
    assert not unknown - ours, sorted(unknown - ours)
    return model


def models(value: Any, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    """Every model in a validated value, with its path."""
    if isinstance(value, BaseModel):
        yield path, value
        for name in value.model_fields_set:
            yield from models(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from models(each, path + "[]")
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from models(each, f"{path}.{name}")
