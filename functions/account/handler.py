"""Entry point of the self-service of keys: parse, call one method of the service, answer. Errors take the one shape."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response

from account.requests import KeyCreate, KeyRotate, parse
from account.service import Keys
from chatapi.buffered import JSON, answered, body_of, resolver
from chatapi.errors import AddressNotAllowed, Forbidden
from chatapi.verdict import ADDRESS_NOT_ALLOWED, OK, Verdict

app = resolver()
_keys: Keys | None = None


def _service() -> Keys:
    """The composition root: clients are made once per warm function, at the first request, never at init."""
    global _keys  # noqa: PLW0603 - one instance per process is what a warm function is
    if _keys is None:
        from account.composition import compose

        _keys = compose()
    return _keys


def _json(value: object, status: int = 200) -> Response[str]:
    return Response(status, JSON, json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def _caller() -> tuple[str, str]:
    """The caller's project and key. Forbidden before anything of the request is looked at."""
    verdict = Verdict.from_context(app.current_event.raw_event["requestContext"]["authorizer"])
    if verdict.outcome == ADDRESS_NOT_ALLOWED:
        raise AddressNotAllowed
    if verdict.outcome != OK:
        raise Forbidden
    return verdict.project, verdict.kid


@app.get("/v1/keys")
def list_() -> Response[str]:
    """The project's keys."""
    project, _ = _caller()
    return _json({"object": "list", "data": _service().list(project)})


@app.post("/v1/keys")
def create() -> Response[str]:
    """A new key: 201, and the secret this once."""
    project, kid = _caller()
    return _json(_service().create(project, kid, parse(KeyCreate, body_of(app.current_event.raw_event))), 201)


@app.get("/v1/keys/<key_id>")
def get(key_id: str) -> Response[str]:
    """One key."""
    project, _ = _caller()
    return _json(_service().get(project, key_id))


@app.post("/v1/keys/<key_id>/rotate")
def rotate(key_id: str) -> Response[str]:
    """A successor of a key: 201, and the secret this once."""
    project, kid = _caller()
    request = parse(KeyRotate, body_of(app.current_event.raw_event) or b"{}")
    return _json(_service().rotate(project, kid, key_id, request.overlap_seconds), 201)


@app.delete("/v1/keys/<key_id>")
def revoke(key_id: str) -> Response[str]:
    """End a key."""
    project, _ = _caller()
    return _json(_service().revoke(project, key_id))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One request through the REST API's proxy integration."""
    request_id = str(event["requestContext"]["requestId"])
    return answered("account", request_id, lambda: app.resolve(event, context))
