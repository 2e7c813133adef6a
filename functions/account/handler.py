"""Entry point of a project's self-service, its keys and its usage: parse, call one method of a service, answer. Errors
take the one shape."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response

from account.portal_files import add_pages
from account.requests import KeyCreate, KeyRotate, parse
from account.service import Services
from account.usage import parse_query
from chatapi.buffered import answered, body_of, caller, resolver, told
from chatapi.warm import Warm

app = resolver()


@Warm
def _composed() -> Services:
    """The composition root: clients are made once per warm function, at the first request, never at init."""
    from account.composition import compose

    return compose()


def _caller() -> tuple[str, str]:
    """The caller's project and key."""
    verdict = caller(app.current_event.raw_event)
    return verdict.project, verdict.kid


@app.get("/v1/keys")
def list_() -> Response[str]:
    """The project's keys."""
    project, _ = _caller()
    return told({"object": "list", "data": _composed().keys.list(project)})


@app.post("/v1/keys")
def create() -> Response[str]:
    """A new key: 201, and the secret this once."""
    project, kid = _caller()
    return told(_composed().keys.create(project, kid, parse(KeyCreate, body_of(app.current_event.raw_event))), 201)


@app.get("/v1/keys/<key_id>")
def get(key_id: str) -> Response[str]:
    """One key."""
    project, _ = _caller()
    return told(_composed().keys.get(project, key_id))


@app.post("/v1/keys/<key_id>/rotate")
def rotate(key_id: str) -> Response[str]:
    """A successor of a key: 201, and the secret this once."""
    project, kid = _caller()
    request = parse(KeyRotate, body_of(app.current_event.raw_event) or b"{}")
    return told(_composed().keys.rotate(project, kid, key_id, request.overlap_seconds), 201)


@app.delete("/v1/keys/<key_id>")
def revoke(key_id: str) -> Response[str]:
    """End a key."""
    project, _ = _caller()
    return told(_composed().keys.revoke(project, key_id))


@app.get("/v1/usage")
def usage() -> Response[str]:
    """What the project used, as JSON or CSV."""
    project, _ = _caller()
    event = app.current_event.raw_event
    query = parse_query(event.get("multiValueQueryStringParameters"), event.get("headers"))
    return query.answer(_composed().usage.read(project, query))


add_pages(app)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One request through the REST API's proxy integration."""
    request_id = str(event["requestContext"]["requestId"])
    return answered("account", request_id, lambda: app.resolve(event, context))
