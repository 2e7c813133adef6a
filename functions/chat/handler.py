"""Entry point of the chat function, on the streaming runtime: route, answer, render errors in the one shape."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from chat.accounting import Account
from chat.composition import Services, compose
from chat.faults import refusal_of
from chat.receipts import FROM_STORE, HEADER, HONOURED, NO_CONTENT, SIGNALS, signalled
from chat.requests import parse, parse_update
from chat.sse import compact
from chatapi.catalogue import read_policy
from chatapi.errors import AddressNotAllowed, BadRequest, Forbidden, InternalError, NotFound, RequestTooLarge
from chatapi.verdict import ADDRESS_NOT_ALLOWED, INSUFFICIENT_SCOPE, MAX_BODY_BYTES, OK, REQUEST_TOO_LARGE, Verdict
from chatapi.warm import Warm
from chatapi_runtime import Context, Response

_MARGIN_SECONDS = 10.0
"""Kept back from the function's own deadline, so that a late answer is still stored and settled."""


_TOLD = ("limit-requests", "limit-tokens", "remaining-requests", "remaining-tokens", "reset-requests", "reset-tokens")
CORS = {
    # A key is no cookie: any origin may read, none with credentials (Fetch standard, "CORS protocol").
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-request-id, retry-after, retry-after-ms, x-should-retry, data-handling, "
    "idempotency-replayed, privacy-signals, "
    "privacy-policy-version, " + ", ".join("x-ratelimit-" + name for name in _TOLD),
}


_ready = Warm(compose)


def handler(event: dict[str, Any], context: Context) -> Response:
    """Answer one request. Never raises: what goes wrong becomes an error in the one shape."""
    request_id = event["requestContext"]["requestId"]
    headers = {
        "x-request-id": request_id,
        "privacy-policy-version": read_policy("versions")["current"],
        "content-type": "application/json",
        "cache-control": "no-store",
        HEADER: NO_CONTENT,
        **CORS,
    }
    if signalled(event.get("headers")):
        headers[SIGNALS] = HONOURED
    account: Account | None = None
    try:
        verdict = Verdict.from_context(event["requestContext"]["authorizer"])
        headers.update(verdict.ratelimit)
        services = _ready()
        account = services.account(verdict)
        _enforce(verdict, services.registry.region)
        more, body = _route(event, context, services, verdict, account)
    except Exception as error:  # noqa: BLE001 - the one place where faults become answers
        if account is not None:
            account.settle(0)  # nothing was generated, or the generation has settled already
        refusal = refusal_of(error, request_id)
        headers.update(refusal.headers)
        return Response(refusal.status, headers, iter([refusal.body()]))
    headers.update(more)
    return Response(200, headers, body)


def _enforce(verdict: Verdict, here: str) -> None:
    if verdict.outcome == ADDRESS_NOT_ALLOWED:
        raise AddressNotAllowed
    if verdict.outcome == INSUFFICIENT_SCOPE:
        raise Forbidden
    if verdict.outcome == REQUEST_TOO_LARGE:
        raise RequestTooLarge
    if verdict.outcome != OK:
        raise InternalError
    if verdict.region != here:
        # Its content would leave the project's home region (commitment XFR-1).
        raise Forbidden("This project's home region is another one.", code="wrong_region")


Answered = tuple[dict[str, str], Iterator[bytes]]


def _route(event: dict[str, Any], context: Context, services: Services, verdict: Verdict, account: Account) -> Answered:
    method, resource = event["httpMethod"], event["resource"]
    if (method, resource) == ("POST", "/v1/chat/completions"):
        body = _body(event)
        timeout = _left(context)
        key = _idempotency_key(event)
        if key is None:
            answer = services.chat.create(parse(body), len(body), verdict, account, timeout)
        else:
            answer = services.idempotent.create(parse(body), body, verdict, account, timeout, key)
        return answer.headers, answer.body
    if (method, resource) == ("POST", "/v1/embeddings"):
        from chat.embeddings import embed

        answer = embed(services.chat, _body(event), verdict, account, _left(context))
        return answer.headers, answer.body
    query = event.get("queryStringParameters") or {}
    path = event.get("pathParameters") or {}
    if resource.startswith(("/v1/responses", "/v1/conversations")):
        from chat.responses.routes import Asked

        asked = Asked(method, resource, path, query, lambda: _body(event), _left(context), _idempotency_key(event))
        return services.surface().answer(asked, verdict, account)
    wanted = path.get("id", "")
    project, stored = verdict.project, services.stored
    reads: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
        ("GET", "/v1/models"): lambda: {
            "object": "list",
            "data": [m.public() for m in services.registry.allowed(verdict.models)],
        },
        ("GET", "/v1/models/{id}"): lambda: services.registry.get(wanted, verdict.models).public(),
        ("GET", "/v1/chat/completions"): lambda: stored.list(project, query),
        ("GET", "/v1/chat/completions/{id}"): lambda: stored.retrieve(project, wanted),
        ("GET", "/v1/chat/completions/{id}/messages"): lambda: stored.messages(project, wanted, query),
        ("DELETE", "/v1/chat/completions/{id}"): lambda: stored.delete(project, wanted),
    }
    if (method, resource) == ("POST", "/v1/chat/completions/{id}"):
        metadata = parse_update(_body(event))
        reads[method, resource] = lambda: stored.update(project, wanted, metadata)
    read = reads.get((method, resource))
    if read is None or len(wanted) > 128:
        raise NotFound
    receipt = {HEADER: FROM_STORE} if resource.startswith("/v1/chat/") and method != "DELETE" else {}
    return receipt, iter([compact(read())])


def _idempotency_key(event: dict[str, Any]) -> str | None:
    return next((v for name, v in (event.get("headers") or {}).items() if name.lower() == "idempotency-key"), None)


def _left(context: Context) -> float:
    """Seconds for an answer."""
    return max(1.0, context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS)


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body") or ""
    if len(text) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise RequestTooLarge
    try:
        body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except ValueError:  # not base64, or text with a lone surrogate
        raise BadRequest("The body is not valid JSON.", code="invalid_json") from None
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge
    return body
