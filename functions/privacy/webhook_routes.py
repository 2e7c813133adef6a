"""The routes of a project's webhook."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import body_of, told
from privacy.webhooks import Recipients

PATH = "/v1/privacy/recipients"


def add_recipients(app: APIGatewayRestResolver, service: Callable[[], Recipients], project: Callable[[], str]) -> None:
    """Add the routes. `project` is the caller's, or raises what refuses it."""

    @app.get(PATH)
    def show() -> Response[str]:
        return told(service().show(project()))

    @app.put(PATH)
    def put() -> Response[str]:
        return told(service().set(project(), body_of(app.current_event.raw_event)))

    @app.delete(PATH)
    def end() -> Response[str]:
        return told(service().end(project()))
