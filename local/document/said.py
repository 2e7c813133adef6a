"""What the operations share: their answers, refusals, headers and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema

from local.answered import REF

JSON = "application/json"
OPEN: dict[str, Any] = {"security": []}
"""For `openapi_extensions` of a route that needs no key: Powertools leaves an empty `security=[]` out."""

Absent = SkipJsonSchema[None]
"""In a union, with None as the default: a field or parameter that may be left out, and is never null."""

Id = Annotated[str, Path()]
After = Annotated[str | Absent, Query(description="The id after which the page begins")]
Limit = Annotated[int, Query(ge=1, le=100, description="Entries of a page")]
Order = Annotated[Literal["asc", "desc"], Query(description="By time of creation")]


class Answer(BaseModel):
    """An answer, which has what is said and nothing more."""

    model_config = ConfigDict(extra="forbid")


class ErrorFacts(Answer):
    """What went wrong (`chatapi.errors`)."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Answer):
    """OpenAI's envelope."""

    error: ErrorFacts


_TEXT: OpenAPIResponseHeader = {"schema": {"type": "string"}}
_ERROR: OpenAPIResponse = {
    "description": "What went wrong, in the one shape",
    "headers": {
        "x-request-id": _TEXT,
        "retry-after": {"schema": {"type": "integer", "maximum": 60}},
        "x-should-retry": {"schema": {"type": "string", "enum": ["true", "false"]}},
    },
    "content": {JSON: {"model": Error}},
}
HANDLED: dict[str, OpenAPIResponseHeader] = {
    "data-handling": {
        "description": "What is retained and until when, who processed it, where, whether anybody trains on it, and "
        "how many values were redacted, where that is demanded",
        "schema": {"type": "string"},
    },
    "privacy-policy-version": _TEXT,
    "x-request-id": _TEXT,
}


def area() -> Router:
    """Where the operations of an area are declared."""
    return Router()  # type: ignore[no-untyped-call]


def of(name: str) -> dict[str, str]:
    """The schema of this name in `local.answers`."""
    return {"$ref": REF + name}


def told(description: str, shape: Any, headers: Mapping[str, OpenAPIResponseHeader] | None = None) -> OpenAPIResponse:
    """An answer in JSON: of a type that pydantic describes, or of the schema of this name in `local.answers`."""
    content: Any = {JSON: {"schema": of(shape)} if isinstance(shape, str) else {"model": shape}}
    return {"description": description, **({"headers": dict(headers)} if headers else {}), "content": content}


def text(description: str, *kinds: str) -> OpenAPIResponse:
    """An answer that is a text of one of these media types."""
    return {"description": description, "content": {kind: {"schema": {"type": "string"}} for kind in kinds}}


def bare(description: str) -> OpenAPIResponse:
    """An answer without a body."""
    return {"description": description, "content": {}}


def streamed(answer: OpenAPIResponse, events: dict[str, Any], end: str = "") -> OpenAPIResponse:
    """An answer that may be a stream as well, whose events have the schema `events`. OpenAPI 3.1 has no word for them:
    the schema is that of one event, as Schemathesis reads it, and `x-event-schema` that of its data."""
    event = {
        "type": "object",
        "description": f"One event of the stream; its data is JSON of x-event-schema{end}",
        "required": ["data"],
        "properties": {"data": {"type": "string"}, "event": {"type": "string"}},
    }
    stream: Any = {"text/event-stream": {"schema": event, "x-event-schema": events}}
    return {**answer, "content": {**answer["content"], **stream}}


def refused(*statuses: int) -> dict[int, OpenAPIResponse]:
    """These statuses, as errors in the one shape."""
    return dict.fromkeys(sorted(statuses), _ERROR)


def keyed(*statuses: int) -> dict[int, OpenAPIResponse]:
    """`refused`, and what every route with a key may answer besides."""
    return refused(401, 403, 429, 503, *statuses)


def keyless(*statuses: int) -> dict[int, OpenAPIResponse]:
    """`refused`, and what API Gateway answers where strangers ask too often."""
    return refused(429, *statuses)
