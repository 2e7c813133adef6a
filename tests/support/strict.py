"""The openai package's own types as a judge: nothing missing, nothing wrong, and nothing that they do not know.

The package itself is lenient (it never validates what a server says, and takes unknown fields), so its types are asked
by pydantic, and then each model of the result for what it had no field for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def strictly(shape: Any, value: Any, *, ours: frozenset[str] = frozenset()) -> Any:
    """`value`, decoded JSON, as `shape`. `ours` are the paths of documented fields that OpenAI's types do not have."""
    model = _adapter(shape).validate_python(value)
    unknown = set(_unknown(model, "")) - ours
    assert not unknown, sorted(unknown)
    return model


def _unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for name in value.model_extra or ():
            yield f"{path}.{name}"
        for name in value.model_fields_set:
            yield from _unknown(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _unknown(each, path + "[]")
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _unknown(each, f"{path}.{name}")
