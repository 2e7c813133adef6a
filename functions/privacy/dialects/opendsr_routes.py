"""The routes of OpenDSR: parse, call one method, answer signed. Refusals have OpenDSR's shape (section 7.6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import JSON, body_of, told
from chatapi.errors import ApiError
from privacy.dialects.opendsr import CERTIFICATE_PATH, PREFIX, OpenDsr, Origin, domain_of
from privacy.portal.places import api_root

_PUBLIC: dict[str, str | list[str]] = {"cache-control": "public, max-age=3600"}


def origin_of(event: dict[str, Any]) -> Origin:
    """Where the request arrived."""
    root = api_root(event)
    return Origin(domain_of(root), root)


def add_opendsr(app: APIGatewayRestResolver, service: Callable[[], OpenDsr], project: Callable[[], str]) -> None:
    """Add the routes. `project` is the caller's, or raises what refuses it."""

    def signed(work: Callable[[Origin], dict[str, Any]], status: int) -> Response[str]:
        origin = origin_of(app.current_event.raw_event)
        try:
            body = json.dumps(work(origin), separators=(",", ":"))
        except ApiError as error:
            return _refused(error)
        headers: dict[str, str | list[str]] = {**service().headers(origin, body.encode())}
        return Response(status, JSON, body, headers=headers)

    @app.get(PREFIX + "/discovery")
    def discovery() -> Response[str]:
        origin = origin_of(app.current_event.raw_event)
        return told(service().discovery(origin), headers=_PUBLIC)

    @app.get(CERTIFICATE_PATH)
    def certificate() -> Response[str]:
        origin = origin_of(app.current_event.raw_event)
        return Response(200, "application/x-pem-file", service().certificate(origin), headers=_PUBLIC)

    @app.post(PREFIX + "/requests")
    def create() -> Response[str]:
        return signed(
            lambda origin: service().create(project(), origin, body_of(app.current_event.raw_event)),
            201,
        )

    @app.get(PREFIX + "/requests/<request_id>")
    def status(request_id: str) -> Response[str]:
        return signed(lambda _: service().status(project(), request_id), 200)

    @app.delete(PREFIX + "/requests/<request_id>")
    def cancel(request_id: str) -> Response[str]:
        return signed(lambda _: service().cancel(project(), request_id), 202)


def _refused(error: ApiError) -> Response[str]:
    detail = {"domain": "ChatAPI", "reason": error.code, "message": error.message}
    shape = {"error": {"code": error.status, "message": error.message, "errors": [detail]}}
    return told(shape, error.status, dict(error.headers))
