"""The routes of consents. Reading is a POST too: an end user's id has no place in a URL."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from chatapi.buffered import body_of, told
from privacy.consents import Choices
from privacy.requests import parse_choice, parse_session

PATH = "/v1/privacy/consents"


def add_consents(app: APIGatewayRestResolver, service: Callable[[], Choices], project: Callable[[], str]) -> None:
    """Add the routes. `project` is the caller's, or raises what refuses it."""

    @app.post(PATH)
    def choose() -> Response[str]:
        caller = project()
        return told(service().choose(caller, parse_choice(body_of(app.current_event.raw_event))))

    @app.post(PATH + "/query")
    def query() -> Response[str]:
        caller = project()
        return told(service().show(caller, parse_session(body_of(app.current_event.raw_event)).subject))
