"""The portal's one entry: a path leads to a page, a refusal is a page too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from chatapi.aws.errors import AwsError
from chatapi.errors import ApiError, NotFound, Unavailable
from privacy.asking import NOTHING_KEPT, Terms
from privacy.consents import Choices
from privacy.identity.service import Identity
from privacy.identity.tokens import Session
from privacy.imports import Imports
from privacy.portal import cases, choices, entrance, importing, public, waiting
from privacy.portal.details import DETAILED, details
from privacy.portal.markup import el
from privacy.portal.places import stage_path
from privacy.portal.shell import Answer, answer, page, see
from privacy.portal.visit import Visit, visit_of
from privacy.portal.words import preferred, words
from privacy.service import Rights

_ASSETS = Path(__file__).parent / "assets"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_ENTRANCES = {
    "sign-in": entrance.sign_in,
    "code": entrance.code,
    "enter": entrance.enter,
    "sign-out": entrance.sign_out,
}
_PUBLIC: dict[str, Callable[[Visit], Answer]] = {
    "": public.home,
    "policy": public.policy,
    "verify": public.verify,
    "developers": public.developers,
}
_OWN: dict[str, Callable[[Visit, Rights, Session, str], Answer]] = {
    "": cases.one,
    "cancel": cases.cancel,
    "certificate": cases.certificate,
    "export": cases.export,
    "confirm": waiting.confirm,
}
_CHOICES: dict[str, Callable[[Visit, Choices, Session], Answer]] = {
    "choices": choices.index,
    "choices/receipt": choices.receipt,
}
_DETAILS = {f"ask/{right}": right for right in DETAILED}
_IMPORT = re.compile(r"import(?:/(imp_[0-9A-Za-z]{24}))?")
_CASE = re.compile(r"requests/(dsr_[0-9A-Za-z]{24})(?:/([a-z]+))?")


@dataclass(frozen=True)
class Services:
    """What the pages call, each made when it is first needed."""

    identity: Callable[[], Identity]
    rights: Callable[[], Rights]
    choices: Callable[[], Choices]
    imports: Callable[[], Imports]
    terms: Callable[[str], Terms]


def respond(event: Mapping[str, Any], services: Services) -> Answer:
    """The answer to an event below /portal. Refusals and outages are pages; a fault of ours passes."""
    if str(event["path"]).startswith("/portal/assets/"):
        return _asset(str(event["path"]).removeprefix("/portal/assets/"))
    visit = None
    try:
        visit = visit_of(event, services.identity())
        return _page(visit, services)
    except ApiError as error:
        return _refusal(visit or _stranger(event), error)
    except AwsError:
        return _refusal(visit or _stranger(event), Unavailable())


def _page(visit: Visit, services: Services) -> Answer:
    if visit.path in _ENTRANCES:
        return _ENTRANCES[visit.path](visit, services.identity())
    if visit.path in _PUBLIC and visit.method == "GET":
        return _PUBLIC[visit.path](visit)
    show = _own(visit.path, services)
    if show is None:
        raise NotFound
    return see(visit, "sign-in") if visit.session is None else show(visit, visit.session)


def _own(path: str, services: Services) -> Callable[[Visit, Session], Answer] | None:
    """The page at a path that only somebody who is signed in may see."""
    if path == "requests":
        return lambda visit, session: cases.index(visit, services.rights(), session)
    if path in _CHOICES:
        return lambda visit, session: _CHOICES[path](visit, services.choices(), session)
    if path in _DETAILS:
        return lambda visit, session: details(visit, services.rights(), session, _DETAILS[path])
    if archive := _IMPORT.fullmatch(path):
        return lambda visit, session: _import(visit, services, session, archive[1])
    case = _CASE.fullmatch(path)
    if case is None or (case[2] or "") not in _OWN:
        return None
    return lambda visit, session: _OWN[case[2] or ""](visit, services.rights(), session, case[1])


def _import(visit: Visit, services: Services, session: Session, archive: str | None) -> Answer:
    if archive is None:
        return importing.put(visit, services.imports(), session)
    terms = services.terms(session.project) if visit.method == "POST" else NOTHING_KEPT
    return importing.read_in(visit, services.rights(), services.imports(), session, terms, archive)


def _refusal(visit: Visit, error: ApiError) -> Answer:
    """A page in the reader's language; what has no words of its own is told in general ones."""
    key = f"errors.{error.code}"
    known = key if key in visit.words else "errors.other"
    return page(
        visit,
        visit.say("errors.title"),
        el("p", visit.say(known), class_="message error", role="alert"),
        el("p", el("a", visit.say("errors.home"), href=visit.url())),
        status=error.status,
    )


def _stranger(event: Mapping[str, Any]) -> Visit:
    """A visit of which nothing is believed but the language."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    language = preferred(headers.get("accept-language", ""))
    empty = Visit("GET", "", {}, {}, language, stage_path(event), "", "", None)
    return replace(empty, words=words(language))


@cache
def _files() -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in _ASSETS.iterdir() if file.suffix in _KINDS}


def _asset(name: str) -> Answer:
    """A file of ours, by its exact name: never a path."""
    nobody = Visit("GET", "", {}, {}, "en", "", "", "", None)
    text = _files().get(name)
    if text is None:
        return answer(nobody, 404, "", "text/plain; charset=utf-8")
    return answer(nobody, 200, text, _KINDS[Path(name).suffix], cache_control="public, max-age=300")
