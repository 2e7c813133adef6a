"""What waits until it is known who asks, and the page on which its person lets it go on."""

from __future__ import annotations

from chatapi.store.cases import Case
from privacy.identity.tokens import Session
from privacy.portal.markup import Html, el
from privacy.portal.shell import Answer, date, form, page, see
from privacy.portal.visit import Visit
from privacy.service import Rights
from privacy.waiting import waits


def section(visit: Visit, rights: Rights, session: Session) -> Html | None:
    """A part of the list of requests; nothing where nothing waits."""
    say, cases = visit.say, rights.waiting(session.project, session.subject, session.claim)
    if not cases:
        return None

    def line(case: Case) -> Html:
        name = el("a", say("waiting.link", right=_right(visit, case)), href=visit.url(f"requests/{case.id}/confirm"))
        return el("li", name, " ", el("span", date(visit, case.created), class_="note"))

    return el(
        "section",
        el("h2", say("waiting.title")),
        el("p", say("waiting.lead")),
        el("ul", (line(case) for case in cases)),
        class_="message info",
    )


def confirm(visit: Visit, rights: Rights, session: Session, case_id: str) -> Answer:
    """Go on with it, or not. A link alone does nothing."""
    who = (session.project, session.subject, session.claim)
    case = rights.awaited(*who, case_id)
    if visit.method != "POST":
        return _ask(visit, case) if waits(case) else see(visit, _page_of(case, session))
    if _right_of(case) == "erasure" and visit.form.get("sure") != "yes":
        return _ask(visit, case, problem=True)
    gone_on = rights.confirm(*who, case_id)
    return see(visit, _page_of(gone_on, session) + ("" if gone_on.project == session.project else "?known=1"))


def _page_of(case: Case, session: Session) -> str:
    """What came by mail has no page of its own: its person says on the list what they ask for."""
    return f"requests/{case.id}" if case.project == session.project else "requests"


def _right_of(case: Case) -> str:
    return str(case.get("asks") or case.type)


def _right(visit: Visit, case: Case) -> str:
    return visit.say(f"rights.{_right_of(case)}")


def _ask(visit: Visit, case: Case, *, problem: bool = False) -> Answer:
    say = visit.say
    box = el("input", type="checkbox", id="sure", name="sure", value="yes", required=True)
    sure = el("div", box, el("label", say("requests.sure"), for_="sure"), class_="choice")
    return page(
        visit,
        say("waiting.ask"),
        el("p", say("waiting.ask_lead", right=_right(visit, case)), class_="lead"),
        el("p", say("request.asked"), ": ", date(visit, case.created, clock=True)),
        el("p", say("requests.not_sure"), class_="message error", role="alert") if problem else None,
        form(
            visit,
            f"requests/{case.id}/confirm",
            sure if _right_of(case) == "erasure" else None,
            el("button", say("waiting.button")),
            class_="stack",
        ),
        el("p", say("waiting.not_mine"), class_="note"),
        el("p", el("a", say("request.all"), href=visit.url("requests"))),
        status=400 if problem else 200,
    )
