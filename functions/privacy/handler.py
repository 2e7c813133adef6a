"""Entry point of the data-rights API: parse, call one method of the service, answer. Errors take the one shape."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response

from chatapi.buffered import JSON, answered, body_of, caller, resolver, told
from chatapi.warm import Warm
from privacy.asking import Terms
from privacy.consent_routes import add_consents
from privacy.consents import Choices
from privacy.dialects.drp import Drp
from privacy.dialects.drp_routes import add_drp
from privacy.dialects.opendsr import OpenDsr
from privacy.dialects.opendsr_routes import add_opendsr
from privacy.identity.service import Identity
from privacy.imports import Imports
from privacy.portal.places import api_root, portal_root, stage_path
from privacy.portal.site import Services, respond
from privacy.public_files import add_public
from privacy.reference import pages
from privacy.requests import parse, parse_import, parse_session, show
from privacy.service import Rights
from privacy.webhook_routes import add_recipients
from privacy.webhooks import Recipients

app = resolver()


@Warm
def _service() -> Rights:
    """The composition root: clients are made once per warm function, at the first request, never at init."""
    from privacy.composition import compose

    return compose()


@Warm
def _who() -> Identity:
    """The composition root of identity, as `_service`."""
    from privacy.identity.composition import compose

    return compose()


@Warm
def _dialect() -> OpenDsr:
    """OpenDSR over the same service."""
    from privacy.dialects.composition import compose_opendsr

    return compose_opendsr(_service())


@Warm
def _agents() -> Drp:
    """The Data Rights Protocol."""
    from privacy.dialects.composition import compose_drp

    return compose_drp()


@Warm
def _webhooks() -> Recipients:
    """The projects' webhooks."""
    from privacy.composition import compose_recipients

    return compose_recipients()


@Warm
def _choices() -> Choices:
    """The data subjects' choices, over the same service."""
    from privacy.composition import compose_consents

    return compose_consents(_service())


@Warm
def _imports() -> Imports:
    """Places for archives, over the same service."""
    from privacy.composition import compose_imports

    return compose_imports(_service())


def _terms(project: str) -> Terms:
    """On which terms a project stores, where no key of it says so."""
    from privacy.composition import terms_of

    return terms_of(project)


def _project() -> str:
    """The caller's project."""
    return caller(app.current_event.raw_event).project


@app.post("/v1/privacy/requests")
def create() -> Response[str]:
    """Receive a request: 202 and the case."""
    headers = {name.lower(): value for name, value in (app.current_event.raw_event.get("headers") or {}).items()}
    verdict = caller(app.current_event.raw_event)
    terms = Terms(verdict.retention, verdict.key)
    request = parse(body_of(app.current_event.raw_event))
    return told(show(_service().create(verdict.project, request, headers.get("idempotency-key"), terms)), 202)


@app.post("/v1/privacy/imports")
def begin_import() -> Response[str]:
    """A place to put a person's own copy, to be read in again: 201."""
    project = _project()
    return told(_imports().begin(project, parse_import(body_of(app.current_event.raw_event))), 201)


@app.post("/v1/privacy/sessions")
def session() -> Response[str]:
    """A portal link for one data subject of the project: 201. It works once, within fifteen minutes."""
    project = _project()
    event = app.current_event.raw_event
    subject = parse_session(body_of(event)).subject
    root = portal_root(event)
    token, expires = _who().link(project, None if subject.owner else subject.user)
    return told({"object": "privacy.session", "url": f"{root}/enter?t={token}", "expires_at": expires}, 201)


@app.get("/v1/privacy/requests")
def list_() -> Response[str]:
    """The project's requests, page by page, in the order of their ids."""
    query = app.current_event.raw_event.get("queryStringParameters") or {}
    cases, more = _service().list(_project(), query.get("after"), query.get("limit"))
    ends = {"first_id": cases[0].id if cases else None, "last_id": cases[-1].id if cases else None}
    return told({"object": "list", "data": [show(case) for case in cases], **ends, "has_more": more})


@app.get("/v1/privacy/requests/<case_id>")
def get(case_id: str) -> Response[str]:
    """One request."""
    return told(show(_service().get(_project(), case_id)))


@app.post("/v1/privacy/requests/<case_id>/cancel")
def cancel(case_id: str) -> Response[str]:
    """Take a request back, while that is possible."""
    return told(show(_service().cancel(_project(), case_id)))


@app.get("/v1/privacy/requests/<case_id>/certificate")
def certificate(case_id: str) -> Response[str]:
    """The certificate of a completed request: the same bytes at every call."""
    query = app.current_event.raw_event.get("queryStringParameters") or {}
    return Response(200, JSON, _service().certificate(_project(), case_id, query.get("part")).decode())


@app.get("/v1/privacy/requests/<case_id>/export")
def export(case_id: str) -> Response[str]:
    """A one-time link to the export of a completed request."""
    token, expires = _service().export(_project(), case_id)
    return told({"url": f"{_root()}/v1/privacy/downloads/{token}", "expires_at": expires})


@app.get("/v1/privacy/downloads/<token>")
def download(token: str) -> Response[str]:
    """The export behind a one-time link: on to its bytes, once."""
    headers: dict[str, str | list[str]] = {"location": _service().download(token), "referrer-policy": "no-referrer"}
    return Response(303, JSON, "", headers=headers)


def _root() -> str:
    """The API's root as the caller reached it."""
    return api_root(app.current_event.raw_event)


@app.get("/.well-known/jwks.json")
def jwks() -> Response[str]:
    """The keys that verify certificates."""
    return told(_service().jwks(), headers={"cache-control": "public, max-age=3600"})


@app.get("/health")
def health() -> Response[str]:
    """Whether the function answers."""
    return told({"status": "ok"})


@app.get("/openapi.json")
def openapi() -> Response[str]:
    """The description of the whole API."""
    event = app.current_event.raw_event
    return pages.description(stage_path(event), event.get("headers"))


@app.get("/docs")
def docs() -> Response[str]:
    """The same, to read and to try."""
    event = app.current_event.raw_event
    return pages.page(stage_path(event), event.get("headers"))


@app.get("/docs/<name>")
def docs_file(name: str) -> Response[str]:
    """What that page loads."""
    return pages.file(name, app.current_event.raw_event.get("headers"))


add_opendsr(app, _dialect, _project)
add_drp(app, _agents)
add_recipients(app, _webhooks, _project)
add_consents(app, _choices, _project)
add_public(app, _root)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One request through the REST API's proxy integration."""
    request_id = str(event["requestContext"]["requestId"])
    if str(event["path"]).startswith("/portal"):
        return answered(
            "privacy", request_id, lambda: respond(event, Services(_who, _service, _choices, _imports, _terms))
        )
    return answered("privacy", request_id, lambda: app.resolve(event, context))
