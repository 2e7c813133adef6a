"""What the buffered functions share: a body, the router, and an answer in the one shape whatever goes wrong."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.aws.errors import AwsError
from chatapi.catalogue import read_policy
from chatapi.errors import AddressNotAllowed, ApiError, BadRequest, Forbidden, InternalError, NotFound, Unavailable
from chatapi.logs import log, log_error
from chatapi.verdict import ADDRESS_NOT_ALLOWED, OK, Verdict

JSON = "application/json"


def body_of(event: Mapping[str, Any]) -> bytes:
    """The bytes of a request's body. BadRequest where they are not what API Gateway says they are."""
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The body is not valid JSON.", code="invalid_json") from None


def told(value: object, status: int = 200, headers: dict[str, str | list[str]] | None = None) -> Response[str]:
    """An answer in JSON."""
    return Response(status, JSON, json.dumps(value, separators=(",", ":"), ensure_ascii=False), headers=headers)


def caller(event: Mapping[str, Any]) -> Verdict:
    """Who calls. A refusal where the key may not, before anything of the request is looked at."""
    verdict = Verdict.from_context(event["requestContext"]["authorizer"])
    if verdict.outcome == ADDRESS_NOT_ALLOWED:
        raise AddressNotAllowed
    if verdict.outcome != OK:
        raise Forbidden
    return verdict


def resolver() -> APIGatewayRestResolver:
    """A router whose refusals, unknown routes included, have the one shape."""
    app = APIGatewayRestResolver()

    def refuse(error: ApiError) -> Response[str]:
        return Response(error.status, JSON, error.body().decode(), headers=dict(error.headers))

    def no_route(_: Exception) -> Response[str]:
        return refuse(NotFound("No such route. The routes are listed in /openapi.json."))

    app.exception_handler(ApiError)(refuse)
    app.not_found(no_route)
    return app


def answered(function: str, request_id: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `work`, a resolver's, with the headers that no answer may come without. Never raises."""
    answer = _guarded(function, request_id, work)
    headers = {name.lower(): values for name, values in (answer.get("multiValueHeaders") or {}).items()}
    headers["x-request-id"] = [request_id]
    headers.setdefault("cache-control", ["no-store"])
    headers["privacy-policy-version"] = [read_policy("versions")["current"]]
    answer["multiValueHeaders"] = headers
    log("request", function=function, request_id=request_id, status=answer["statusCode"])
    return answer


def _guarded(function: str, request_id: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except AwsError as error:
        log_error(f"{function}_unavailable", error, function=function, request_id=request_id, code=error.code)
        refusal: ApiError = Unavailable()
    except Exception as error:  # noqa: BLE001 - the last line: nothing of a fault may reach the caller
        log_error(f"{function}_failed", error, function=function, request_id=request_id)
        refusal = InternalError()
    headers = {name: [value] for name, value in {"content-type": JSON, **refusal.headers}.items()}
    return {
        "statusCode": refusal.status,
        "multiValueHeaders": headers,
        "body": refusal.body().decode(),
        "isBase64Encoded": False,
    }
