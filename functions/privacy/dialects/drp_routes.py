"""The routes of the Data Rights Protocol: no key of ours opens them, an agent's token does. Refusals have its shape
(section 3.06): `{code, message, fatal}`; that a token could not be set up is a 403 without a body (2.05.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import JSON, body_of, told
from chatapi.errors import ApiError, BadRequest, Forbidden
from privacy.dialects.drp import PREFIX, Drp
from privacy.dialects.opendsr_routes import origin_of


def add_drp(app: APIGatewayRestResolver, service: Callable[[], Drp]) -> None:
    """Add the routes."""

    def event() -> dict[str, Any]:
        return dict(app.current_event.raw_event)

    def token() -> str | None:
        headers = {name.lower(): value for name, value in (event().get("headers") or {}).items()}
        return headers.get("authorization")

    def answer(work: Callable[[], dict[str, Any]]) -> Response[str]:
        try:
            return told(work())
        except ApiError as error:
            return _refused(error)

    @app.post(PREFIX)
    def exercise() -> Response[str]:
        return answer(lambda: service().exercise(token(), origin_of(event()).root, body_of(event())))

    @app.get(PREFIX + "/<request_id>")
    def status(request_id: str) -> Response[str]:
        return answer(lambda: service().status(token(), request_id))

    @app.delete(PREFIX + "/<request_id>")
    def revoke(request_id: str) -> Response[str]:
        return answer(lambda: service().revoke(token(), request_id, body_of(event())))

    @app.post("/v1/agent/<agent_id>")
    def setup(agent_id: str) -> Response[str]:
        try:
            return told(service().setup(agent_id, body_of(event())))
        except Forbidden:
            return Response(403, JSON, "")

    @app.get("/v1/agent/<agent_id>")
    def agent(agent_id: str) -> Response[str]:
        return answer(lambda: service().agent(agent_id, token()))


def _refused(error: ApiError) -> Response[str]:
    # A message that is wrong stays wrong; what failed here may be tried again.
    fatal = isinstance(error, BadRequest)
    body = {"code": str(error.status), "message": error.message, "fatal": fatal}
    return told(body, error.status, dict(error.headers))
