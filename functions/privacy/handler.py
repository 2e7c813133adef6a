"""Entry point of the data-rights API: parse, call one method of the service, answer. Errors take the one shape."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.aws.errors import AwsError
from chatapi.catalogue import read_policy
from chatapi.errors import ApiError, BadRequest, Forbidden, InternalError, NotFound, Unavailable
from chatapi.logs import log, log_error
from chatapi.verdict import OK, Verdict
from privacy.requests import parse, show
from privacy.service import Rights

_OPENAPI = Path(__file__).parent / "openapi.json"
_JSON = "application/json"

app = APIGatewayRestResolver()
_rights: Rights | None = None


def _service() -> Rights:
    """The composition root: clients are made once per warm function, at the first request, never at init."""
    global _rights  # noqa: PLW0603 - one instance per process is what a warm function is
    if _rights is None:
        from privacy.composition import compose

        _rights = compose()
    return _rights


def _json(value: object, status: int = 200, headers: dict[str, str | list[str]] | None = None) -> Response[str]:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return Response(status, _JSON, text, headers=headers)


def _project() -> str:
    """The caller's project. Forbidden where the key lacks the scope, before anything of the request is looked at."""
    verdict = Verdict.from_context(app.current_event.raw_event["requestContext"]["authorizer"])
    if verdict.outcome != OK:
        raise Forbidden
    return verdict.project


def _body() -> bytes:
    event = app.current_event.raw_event
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The body is not valid JSON.", code="invalid_json") from None


@app.post("/v1/privacy/requests")
def create() -> Response[str]:
    """Receive a request: 202 and the case."""
    headers = {name.lower(): value for name, value in (app.current_event.raw_event.get("headers") or {}).items()}
    project = _project()
    return _json(show(_service().create(project, parse(_body()), headers.get("idempotency-key"))), 202)


@app.get("/v1/privacy/requests")
def list_() -> Response[str]:
    """The project's requests, page by page, in the order of their ids."""
    query = app.current_event.raw_event.get("queryStringParameters") or {}
    cases, more = _service().list(_project(), query.get("after"), query.get("limit"))
    ends = {"first_id": cases[0].id if cases else None, "last_id": cases[-1].id if cases else None}
    return _json({"object": "list", "data": [show(case) for case in cases], **ends, "has_more": more})


@app.get("/v1/privacy/requests/<case_id>")
def get(case_id: str) -> Response[str]:
    """One request."""
    return _json(show(_service().get(_project(), case_id)))


@app.post("/v1/privacy/requests/<case_id>/cancel")
def cancel(case_id: str) -> Response[str]:
    """Take a request back, while that is possible."""
    return _json(show(_service().cancel(_project(), case_id)))


@app.get("/v1/privacy/requests/<case_id>/certificate")
def certificate(case_id: str) -> Response[str]:
    """The certificate of a completed request: the same bytes at every call."""
    return _json(_service().certificate(_project(), case_id).decode())


@app.get("/.well-known/jwks.json")
def jwks() -> Response[str]:
    """The keys that verify certificates."""
    return _json(_service().jwks(), headers={"cache-control": "public, max-age=3600"})


@app.get("/health")
def health() -> Response[str]:
    """Whether the function answers."""
    return _json({"status": "ok"})


@app.get("/openapi.json")
def openapi() -> Response[str]:
    """The description of the whole API."""
    if not _OPENAPI.is_file():
        raise NotFound
    return _json(_OPENAPI.read_text(encoding="utf-8"))


def _refuse(error: ApiError) -> Response[str]:
    return Response(error.status, _JSON, error.body().decode(), headers=dict(error.headers))


app.exception_handler(ApiError)(_refuse)


@app.not_found
def _no_route(error: Exception) -> Response[str]:
    return _refuse(NotFound("No such route. The routes are listed in /openapi.json."))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One request through the REST API's proxy integration."""
    request_id = str(event["requestContext"]["requestId"])
    answer = _guarded(lambda: app.resolve(event, context), request_id)
    # Set here, so that no answer can come without them.
    headers = {name.lower(): values for name, values in (answer.get("multiValueHeaders") or {}).items()}
    headers["x-request-id"] = [request_id]
    headers.setdefault("cache-control", ["no-store"])
    headers["privacy-policy-version"] = [read_policy("versions")["current"]]
    answer["multiValueHeaders"] = headers
    log("request", function="privacy", request_id=request_id, status=answer["statusCode"])
    return answer


def _guarded(work: Callable[[], dict[str, Any]], request_id: str) -> dict[str, Any]:
    try:
        return work()
    except AwsError as error:
        log_error("privacy_unavailable", error, function="privacy", request_id=request_id, code=error.code)
        refusal: ApiError = Unavailable()
    except Exception as error:  # noqa: BLE001 - the last line: nothing of a fault may reach the caller
        log_error("privacy_failed", error, function="privacy", request_id=request_id)
        refusal = InternalError()
    headers = {name: [value] for name, value in {"content-type": _JSON, **refusal.headers}.items()}
    return {
        "statusCode": refusal.status,
        "multiValueHeaders": headers,
        "body": refusal.body().decode(),
        "isBase64Encoded": False,
    }
