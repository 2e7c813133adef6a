"""Bodies whose models were compiled when the code was built: pydantic's core checks them, pydantic is not loaded.

To import pydantic and to build a model with it is more than half of what a function takes to start. What comes of it is
a core schema, plain data but for the functions and classes in it; `python -m local.compiled` writes it to a file, where
those are named, ``{"$": name}``, with the configuration beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic_core import SchemaValidator


class Compiled:
    """A body as the core makes it, with what is used here of pydantic's BaseModel. It shows no value in its repr."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
    compiled: ClassVar[SchemaValidator]

    @classmethod
    def model_validate_json(cls, body: bytes) -> Self:
        """The body in JSON text. Raises pydantic_core's ValidationError."""
        made: Self = cls.compiled.validate_json(body)
        return made

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """The body of a dictionary. Raises pydantic_core's ValidationError."""
        made: Self = cls.compiled.validate_python(value)
        return made

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """The same with some fields changed; what they become is not checked."""
        made = type(self).__new__(type(self))
        made.__dict__ = {**self.__dict__, **update}
        return made


def schemas(file: Path, named: Mapping[str, Any]) -> dict[str, Any]:
    """What the compiler wrote: by a body's name the arguments of its SchemaValidator, with the functions and classes
    that it names. KeyError for one that is not in `named`."""
    read: dict[str, Any] = json.loads(
        file.read_bytes(), object_hook=lambda node: named[node["$"]] if "$" in node else node
    )
    return read
