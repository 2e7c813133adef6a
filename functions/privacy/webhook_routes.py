"""The routes of a project's webhook."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import JSON, body_of
from privacy.webhooks import Recipients

PATH = "/v1/privacy/recipients"


def add_recipients(app: APIGatewayRestResolver, service: Callable[[], Recipients], project: Callable[[], str]) -> None:
    """Add the routes. `project` is the caller's, or raises what refuses it."""

    def answer(value: dict[str, Any]) -> Response[str]:
        return Response(200, JSON, json.dumps(value, separators=(",", ":")))

    @app.get(PATH)
    def show() -> Response[str]:
        return answer(service().show(project()))

    @app.put(PATH)
    def put() -> Response[str]:
        return answer(service().set(project(), body_of(app.current_event.raw_event)))

    @app.delete(PATH)
    def end() -> Response[str]:
        return answer(service().end(project()))
