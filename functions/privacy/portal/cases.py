"""The pages of somebody who is signed in: make a request, follow it, take it back, download what came of it."""

from __future__ import annotations

from typing import Any

from chatapi.errors import Conflict
from chatapi.store.cases import Case
from privacy.identity.tokens import Session
from privacy.portal import waiting
from privacy.portal.details import DETAILED
from privacy.portal.markup import Html, el, many
from privacy.portal.shell import Answer, answer, date, form, page, see
from privacy.portal.visit import Visit
from privacy.requests import OFFERED, show
from privacy.service import Rights
from privacy.waiting import waits

ASKED_HERE = OFFERED
"""The rights that a person asks for here."""
_STAGES = ("received", "in_progress", "completed")
_LIVE = ("received", "in_progress")


def index(visit: Visit, rights: Rights, session: Session) -> Answer:
    """The subject's own requests, and a new one."""
    if visit.method == "POST":
        return _create(visit, rights, session)
    return _index(visit, rights, session)


def one(visit: Visit, rights: Rights, session: Session, case_id: str) -> Answer:
    """One request: what was asked, where it is, why, until when, and what came of it."""
    return _one(visit, rights.get(session.project, case_id, session.subject))


def cancel(visit: Visit, rights: Rights, session: Session, case_id: str) -> Answer:
    """Take it back, while that is possible."""
    if visit.method == "POST":
        case = rights.get(session.project, case_id, session.subject)
        try:
            rights.cancel(session.project, case.id)
        except Conflict:
            return _one(visit, rights.get(session.project, case_id, session.subject), problem="request.too_late")
    return see(visit, f"requests/{case_id}")


def certificate(visit: Visit, rights: Rights, session: Session, case_id: str) -> Answer:
    """The certificate as a file."""
    case = rights.get(session.project, case_id, session.subject)
    part = "release" if visit.query.get("part") == "release" else None
    text = rights.certificate(session.project, case.id, part).decode()
    kind = "certificate" if case.type == "erasure" else "receipt"
    name = f'attachment; filename="{kind}-{case.id}.json"'
    return answer(visit, 200, text, "application/json", content_disposition=name)


def export(visit: Visit, rights: Rights, session: Session, case_id: str) -> Answer:
    """On to the copy, by a one-time link of its own that the API makes and the browser uses up at once."""
    case = rights.get(session.project, case_id, session.subject)
    token, _ = rights.export(session.project, case.id)
    return answer(visit, 303, "", location=f"{visit.base}/v1/privacy/downloads/{token}")


def _create(visit: Visit, rights: Rights, session: Session) -> Answer:
    right = visit.form.get("type", "")
    if right not in ASKED_HERE:
        return _index(visit, rights, session, problem="requests.choose")
    if right == "objection":
        return see(visit, "choices")
    if right == "import":
        return see(visit, "import")
    if right in DETAILED:
        return see(visit, f"ask/{right}")
    if right == "erasure" and visit.form.get("sure") != "yes":
        return _index(visit, rights, session, problem="requests.not_sure", chosen=right)
    return see(visit, f"requests/{rights.open(session.project, session.subject, right).id}")


def _index(visit: Visit, rights: Rights, session: Session, *, problem: str | None = None, chosen: str = "") -> Answer:
    say, cases = visit.say, rights.of_subject(session.project, session.subject)
    return page(
        visit,
        say("requests.title"),
        el("p", say("requests.lead_owner" if session.owner else "requests.lead_user"), class_="lead"),
        el("p", say("requests.until"), " ", date(visit, session.expires, clock=True), class_="note"),
        el("p", say("waiting.known"), class_="message good", role="status") if visit.query.get("known") else None,
        waiting.section(visit, rights, session),
        el("h2", say("requests.own")),
        _table(visit, cases) if cases else el("p", say("requests.none")),
        el("h2", say("requests.new")),
        el("p", say(problem), class_="message error", role="alert") if problem else None,
        form(
            visit,
            "requests",
            el(
                "fieldset", el("legend", say("requests.which")), (_choice(visit, right, chosen) for right in ASKED_HERE)
            ),
            _sure(visit),
            el("button", say("requests.button")),
            class_="stack",
        ),
        status=400 if problem else 200,
    )


def _choice(visit: Visit, right: str, chosen: str) -> Html:
    name = f"right-{right}"
    box = el(
        "input",
        type="radio",
        id=name,
        name="type",
        value=right,
        required=True,
        checked=right == chosen,
        aria_describedby=f"{name}-note",
    )
    label = el("label", visit.say(f"rights.{right}"), for_=name)
    return el(
        "div", box, label, el("p", visit.say(f"rights.{right}_text"), id=f"{name}-note", class_="note"), class_="choice"
    )


def _sure(visit: Visit) -> Html:
    box = el("input", type="checkbox", id="sure", name="sure", value="yes")
    return el("div", box, el("label", visit.say("requests.sure"), for_="sure"), class_="choice")


def _table(visit: Visit, cases: Any) -> Html:
    say = visit.say
    head = el("tr", (el("th", say(f"requests.{name}"), scope="col") for name in ("what", "state", "asked", "due")))
    rows = (
        el(
            "tr",
            el("th", el("a", say(f"rights.{case.type}"), href=visit.url(f"requests/{case.id}")), scope="row"),
            el("td", _state(visit, case)),
            el("td", date(visit, case.created)),
            el("td", date(visit, int(case.get("due")))),
        )
        for case in cases
    )
    table = el("table", el("caption", say("requests.caption")), el("thead", head), el("tbody", rows))
    return el("div", table, class_="scroll", role="region", tabindex="0", aria_label=say("requests.own"))


def _state(visit: Visit, case: Case) -> Html:
    return el("span", visit.say(f"states.{case.status}"), class_=f"badge {case.status}")


def _one(visit: Visit, case: Case, *, problem: str | None = None) -> Answer:
    say, shown = visit.say, show(case)
    facts = (
        ("state", _state(visit, case)),
        ("asked", date(visit, case.created, clock=True)),
        ("due", date(visit, shown["due_at"])),
        ("ended", date(visit, shown["completed_at"], clock=True)) if shown["completed_at"] else None,
        ("number", el("code", case.id, dir="ltr")),
    )
    return page(
        visit,
        say(f"rights.{case.type}"),
        el("p", say(problem), class_="message error", role="alert") if problem else None,
        el(
            "section",
            _progress(visit, case),
            el("p", _explained(visit, shown, case), class_="lead"),
            el("p", say("complain.text"), class_="message info") if shown["complain"] else None,
            el("dl", (el("div", el("dt", say(f"request.{f[0]}")), el("dd", f[1])) for f in facts if f), class_="facts"),
            _changes(visit, shown["result"]),
            _outcomes(visit, shown["stores"]),
            _downloads(visit, case),
            id="follow",
            data_live="yes" if case.status in _LIVE else None,
            aria_live="polite",
        ),
        el("p", el("a", say("request.refresh"), href=visit.url(f"requests/{case.id}")))
        if case.status in _LIVE
        else None,
        el("p", el("a", say("waiting.link_own"), href=visit.url(f"requests/{case.id}/confirm"), class_="button"))
        if waits(case)
        else None,
        form(visit, f"requests/{case.id}/cancel", el("button", say("request.cancel"), class_="plain"))
        if shown["cancellable"]
        else None,
        el("p", el("a", say("request.all"), href=visit.url("requests"))),
        status=409 if problem else 200,
        script="follow.js",
    )


def _progress(visit: Visit, case: Case) -> Html | None:
    """Received, under way, done: where the request stands, in words that a screen reader says too."""
    if case.status not in _STAGES:
        return None
    at = _STAGES.index(case.status)

    def step(number: int, name: str) -> Html:
        done = number < at or case.status == "completed"
        hint = el("span", visit.say("request.done"), class_="hidden") if done else None
        state = "done" if done else "now" if number == at else "next"
        return el("li", visit.say(f"states.{name}"), hint, class_=state, aria_current="step" if number == at else None)

    steps = (step(number, name) for number, name in enumerate(_STAGES))
    return el("ol", steps, class_="progress", aria_label=visit.say("request.progress"))


def _explained(visit: Visit, shown: dict[str, Any], case: Case) -> str:
    """What, why, until when: the catalogue's words for the reasons of policy/rights.toml."""
    status, reason = str(shown["status"]), shown["reason"]
    if status in _LIVE:
        name = "irreversible" if status == "in_progress" and not shown["cancellable"] else status
        text = visit.say(f"reasons.{name}")
        return f"{text} {visit.say('reasons.extended')}" if case.get("extended") else text
    return visit.say(f"reasons.{reason or status}")


def _changes(visit: Visit, result: dict[str, Any] | None) -> Html | None:
    """What became of each record that a correction or a statement named, once it is known."""
    lines = (result or {}).get("changes") or ()
    items = (
        el("li", el("code", line["record"], dir="ltr"), ": ", visit.say(f"outcomes.{line['outcome']}"))
        for line in lines
    )
    return el("ul", items) if lines else None


def _outcomes(visit: Visit, stores: list[dict[str, Any]]) -> Html | None:
    if not stores:
        return None
    say = visit.say
    rows = (
        el(
            "tr",
            el("th", say(f"stores.{line['store']}"), scope="row"),
            el("td", say(f"outcomes.{line['outcome']}")),
            el("td", line["count"], class_="number"),
        )
        for line in stores
    )
    head = el(
        "tr",
        el("th", say("request.store"), scope="col"),
        el("th", say("request.outcome"), scope="col"),
        el("th", say("request.count"), scope="col", class_="number"),
    )
    table = el("table", el("caption", say("request.outcomes")), el("thead", head), el("tbody", rows))
    return el("div", table, class_="scroll", role="region", tabindex="0", aria_label=say("request.outcomes"))


def _downloads(visit: Visit, case: Case) -> Html | None:
    say, links = visit.say, []
    if case.get("certificate") and (case.status == "completed" or case.waiting):
        name = say("request.certificate" if case.type == "erasure" else "choices.receipt")
        links.append(el("a", name, href=visit.url(f"requests/{case.id}/certificate"), class_="button"))
        links.append(el("a", say("request.verify"), href=visit.url("verify")))
    if case.get("release_certificate"):
        path = f"requests/{case.id}/certificate?part=release"
        links.append(el("a", say("request.release"), href=visit.url(path), class_="button"))
    exported = case.get("export") if case.status == "completed" else None
    if exported:
        links.insert(0, el("a", say("request.export"), href=visit.url(f"requests/{case.id}/export"), class_="button"))
        note = el("p", say("request.export_note"), " ", date(visit, exported["expires"]), class_="note")
        return many(el("p", links, class_="links"), note)
    return el("p", links, class_="links") if links else None
