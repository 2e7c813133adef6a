"""Bodies of requests: read by a pydantic model, refused in OpenAI's shape. No refusal quotes what was sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

from pydantic_core import PydanticCustomError, ValidationError

from chatapi.errors import MUST, BadRequest, RequestTooLarge

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")


# What a value must be, by pydantic's kind of error. The braces are of the model, never of the request.
_MUST = {
    "greater_than": "be more than {gt}",
    "greater_than_equal": "be at least {ge}",
    "less_than": "be less than {lt}",
    "less_than_equal": "be at most {le}",
    "literal_error": "be {expected}",
    "string_pattern_mismatch": "match {pattern}",
    "string_too_long": "have at most {max_length} characters",
    "string_too_short": "have at least {min_length} characters",
    "too_long": "have at most {max_length} items",
    "union_tag_invalid": "be of the type {expected_tags}",
}


def wrong(text: LiteralString) -> PydanticCustomError:
    """For validators to raise: a text that the caller reads as it is."""
    return PydanticCustomError("wrong", text)


def parsed(
    model: type[M],
    body: bytes,
    *,
    known: Collection[str],
    free: Collection[str] = (),
    most: int | None = None,
    texts: Mapping[str, str] | None = None,
) -> M:
    """The request in a body. `most`: its bytes at most, RequestTooLarge above. BadRequest with a stable code and the
    path of the field that is wrong; `known` and `free` as in `path`. `texts`: by path, what to say of a wrong value
    there, where there is more to say than that; `changes[]` is the path of each of the `changes`."""
    if most is not None and len(body) > most:
        raise RequestTooLarge(f"The request body is larger than {most // 1024} KiB.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = _refusal(error, known, free, texts or {})
    # Raised outside the handler: as its context, pydantic's error would travel along, and it names the caller's keys.
    raise problem


def _refusal(
    error: ValidationError, known: Collection[str], free: Collection[str], texts: Mapping[str, str]
) -> BadRequest:
    problems = error.errors(include_url=False, include_input=False)
    # A union reports each of its branches: the one that got furthest is what the caller meant.
    problem = max(problems, key=lambda found: (_depth(found["loc"], known), not found["type"].endswith("_type")))
    kind, param = problem["type"], path(problem["loc"], known, free)
    if kind == "json_invalid":
        return BadRequest("The body is not valid JSON.", code="invalid_json")
    if kind == "missing":
        return BadRequest("A required parameter is missing.", code="missing_required_parameter", param=param)
    if kind == "extra_forbidden":
        return BadRequest("The request has a parameter that is not known.", code="unknown_parameter", param=param)
    if kind == "too_short":
        return BadRequest("The array is empty.", code="empty_array", param=param)
    if kind.endswith(("_type", "_parsing")) or kind.startswith("model_"):
        return BadRequest("The parameter has the wrong type.", code="invalid_type", param=param)
    told = texts.get(re.sub(r"\[\d+\]", "[]", param or ""))
    said = problem["msg"] if kind == "wrong" else _bound(kind, problem.get("ctx", {}))
    return BadRequest(told or said, code="invalid_value", param=param)


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    """What a value must be. Of pydantic's context only what `_MUST` names is read: the rest may be the caller's."""
    if kind not in _MUST:
        return "The parameter's value is not supported here."
    return MUST + _MUST[kind].format_map(context) + "."


def _depth(loc: tuple[str | int, ...], known: Collection[str]) -> int:
    return sum(isinstance(step, int) or step in known for step in loc)


def path(loc: tuple[str | int, ...], known: Collection[str], free: Collection[str] = ()) -> str | None:
    """`messages[0].content` from pydantic's location. Only `known` names, those of our own models, get in, and nothing
    below a `free` one: a key of `metadata`, say, was made up by the caller and stays out."""
    out = ""
    for step in loc:
        if isinstance(step, int):
            out += f"[{step}]"
        elif step in known:
            out += ("." if out else "") + step
            if step in free:
                break
    return out or None
