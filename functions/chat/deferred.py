"""Shapes that are built at the first request which has them: most starts never see a tool or a schema."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from chatapi.bodies import STRICT

T = TypeVar("T")


class _Deferred:
    """The annotation: a validator that builds its own when it is first asked. Errors keep their whole location."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._adapter.core_schema)

    def check(self, value: Any) -> Any:
        return self._adapter.validate_python(value)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.of, config=STRICT)


if TYPE_CHECKING:
    AtFirstUse = Annotated[T, ...]
else:

    class AtFirstUse:
        """`AtFirstUse[T]`: T, whose validator is built when a value of it first comes."""

        def __class_getitem__(cls, of: Any) -> Any:
            return Annotated[Any, _Deferred(of)]
