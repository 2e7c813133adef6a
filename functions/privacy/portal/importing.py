"""A person's own copy, read in again: put it, then say so. The browser hands the file to the store by a form, without a
script; the request's page shows how far it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from chatapi.errors import ApiError
from privacy.asking import Terms
from privacy.identity.tokens import Session
from privacy.imports import Imports
from privacy.portal.markup import Html, el
from privacy.portal.shell import Answer, date, form, page, see
from privacy.portal.visit import Visit
from privacy.requests import MOST_ARCHIVE_BYTES, wish_of
from privacy.service import Rights

_MIB = 1024 * 1024


def put(visit: Visit, imports: Imports, session: Session) -> Answer:
    """The page that takes the file, and what it says when there was none to take."""
    if visit.method == "POST":
        return see(visit, "import")
    return _put(visit, imports, session)


def read_in(visit: Visit, rights: Rights, imports: Imports, session: Session, terms: Terms, name: str) -> Answer:
    """What was put is read in when its person says so. A refusal says why, and gives another place."""
    if visit.method != "POST":
        return _arrived(visit, name)
    try:
        wish = wish_of({"type": "import", "archive": name})
        case = rights.ask(session.project, session.subject, wish, terms=terms)
    except ApiError as error:
        if error.status >= 500:
            raise
        key = f"importing.{error.code}"
        problem = visit.say(key if key in visit.words else "importing.other")
        return _put(visit, imports, session, problem=problem, status=error.status)
    return see(visit, f"requests/{case.id}")


def _put(visit: Visit, imports: Imports, session: Session, *, problem: str = "", status: int = 200) -> Answer:
    say, most = visit.say, MOST_ARCHIVE_BYTES // _MIB
    made = imports.form(session.project, session.subject, f"{visit.root}/import")
    parts = urlsplit(made.url)
    hidden = (el("input", type="hidden", name=name, value=value) for name, value in made.fields.items())
    file = el(
        "input",
        id="file",
        name="file",
        type="file",
        accept=".zip,application/zip",
        required=True,
        aria_describedby="file-note",
        data_most=MOST_ARCHIVE_BYTES,
    )
    return page(
        visit,
        say("rights.import"),
        el("p", say("importing.lead"), class_="lead"),
        _steps(visit, 0),
        el("p", problem, class_="message error", role="alert") if problem else None,
        el(
            "p",
            say("importing.too_large", most=most),
            class_="message error",
            role="alert",
            id="too-large",
            hidden=True,
        ),
        el(
            "form",
            hidden,
            el(
                "div",
                el("label", say("importing.file"), for_="file"),
                file,
                el(
                    "p",
                    say("importing.note", most=most),
                    " ",
                    date(visit, made.expires, clock=True),
                    id="file-note",
                    class_="note",
                ),
                class_="field",
            ),
            el("button", say("importing.button")),
            el("p", say("importing.sending"), class_="message info", role="status", id="sending", hidden=True),
            id="upload",
            method="post",
            action=made.url,
            enctype="multipart/form-data",
            class_="stack",
        ),
        el("p", say("importing.what"), class_="note"),
        el("p", el("a", say("request.all"), href=visit.url("requests"))),
        status=status,
        script="import.js",
        store=f"{parts.scheme}://{parts.netloc}",
    )


def _arrived(visit: Visit, name: str) -> Answer:
    say = visit.say
    return page(
        visit,
        say("rights.import"),
        _steps(visit, 1),
        el("p", say("importing.arrived"), class_="lead", role="status"),
        form(visit, f"import/{name}", el("button", say("importing.read"))),
        el("p", el("a", say("importing.again"), href=visit.url("import"))),
    )


def _steps(visit: Visit, at: int) -> Html:
    """Put, confirm, read in: where the person is."""
    states = ["done" if number < at else "now" if number == at else "next" for number in range(3)]
    steps = (
        el("li", visit.say(f"importing.step{number}"), class_=state, aria_current="step" if state == "now" else None)
        for number, state in enumerate(states)
    )
    return el("ol", steps, class_="progress", aria_label=visit.say("request.progress"))
