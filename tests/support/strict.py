"""The openai package's own types as a judge: nothing wrong, nothing missing, nothing that they do not know.

The package itself is lenient (it never validates what a server says, and takes unknown fields), so its types, which are
generated from OpenAI's specification, are asked strictly by pydantic, and then each model of the result for what it had
no field for. Then the published description is asked (local/answers.py), which is closed and says what is always there.
`openai_types` asks more of chat completions, whose objects are always whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

from local.answered import ANSWERS, OURS
from local.openapi import DOCUMENT


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


@cache
def _described(name: str) -> Draft202012Validator:
    components = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})


def described(name: str, value: Any) -> None:
    """`value`, decoded JSON, as the published description's schema of this name."""
    found = [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in _errors(name, value)]
    assert not found, (name, found)


def _errors(name: str, value: Any) -> Iterator[Any]:
    for error in _described(name).iter_errors(value):
        yield error
        yield from error.context or ()


def strictly(shape: Any, value: Any, *, ours: frozenset[str] = frozenset(), name: str = "") -> Any:
    """`value`, decoded JSON, as `shape`. `ours` are the paths of further fields that may be there, `name` is the schema
    in the description where it is another one than the shape's own."""
    name = name or next((known for known, each in ANSWERS.items() if each is shape), "")
    if name:
        described(name, value)
    model = _adapter(shape).validate_python(value, strict=True)
    unknown = {
        f"{path}.{name}"
        for path, found in models(model)
        for name in found.model_extra or ()
        if name not in OURS.get(type(found).__name__, ()) and not _padding(found, name)
    }
    assert not unknown - ours, sorted(unknown - ours)
    return model


def _padding(found: BaseModel, name: str) -> bool:
    return name == "obfuscation" and type(found).__name__.endswith("DeltaEvent")


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
