"""The rights that need more than their name: what is wrong and what is right, what is missing, restricted or not."""

from __future__ import annotations

from typing import Any

from chatapi.errors import ApiError
from privacy.identity.tokens import Session
from privacy.portal.markup import Html, el
from privacy.portal.shell import Answer, form, page, see
from privacy.portal.visit import Visit
from privacy.requests import wish_of
from privacy.service import Rights

DETAILED = ("correction", "completion", "restriction")
"""The rights that have a page here."""
_MOST = {"record": 128, "conversation": 128, "path": 256}


def details(visit: Visit, rights: Rights, session: Session, right: str) -> Answer:
    """The page of one right, and what is sent from it. A refusal leaves what was typed in its fields."""
    if visit.method != "POST":
        return _page(visit, session, right)
    try:
        case = rights.ask(session.project, session.subject, wish_of(_asked(right, visit)))
    except ApiError as error:
        if error.status >= 500:
            raise
        return _page(visit, session, right, refused=True)
    return see(visit, f"requests/{case.id}")


def _asked(right: str, visit: Visit) -> dict[str, Any]:
    """The body that the API would be sent."""
    typed = {name: text.replace("\r\n", "\n") for name, text in visit.form.items()}
    if right == "restriction":
        return {"type": right, "restricted": typed.get("restricted") != "no"}
    if right == "completion":
        return {"type": right, "statements": [{name: typed.get(name, "") for name in ("record", "text")}]}
    change = {name: typed.get(name, "") for name in ("record", "path", "value")}
    # Only an item of a conversation has one: an empty field is no conversation.
    return {"type": right, "changes": [change | {k: typed[k] for k in ("conversation",) if typed.get(k)}]}


def _page(visit: Visit, session: Session, right: str, *, refused: bool = False) -> Answer:
    say = visit.say
    return page(
        visit,
        say(f"rights.{right}"),
        el("p", say(f"rights.{right}_text"), class_="lead"),
        el("p", say(f"details.{right}_lead")),
        el("p", say("details.contact")) if right == "correction" and session.owner else None,
        el("p", say("details.refused"), class_="message error", role="alert") if refused else None,
        form(visit, f"ask/{right}", *_fields(visit, right), el("button", say("requests.button")), class_="stack"),
        el("p", el("a", say("request.all"), href=visit.url("requests"))),
        status=400 if refused else 200,
    )


def _fields(visit: Visit, right: str) -> list[Html]:
    if right == "restriction":
        return [
            el("fieldset", el("legend", visit.say("details.which")), (_option(visit, name) for name in ("yes", "no")))
        ]
    if right == "completion":
        return [_line(visit, "record"), _text(visit, "text")]
    lines = [_line(visit, "record"), _line(visit, "path"), _line(visit, "conversation", required=False)]
    return [*lines, _text(visit, "value")]


def _line(visit: Visit, name: str, *, required: bool = True) -> Html:
    return el(
        "div",
        el("label", visit.say(f"details.{name}"), for_=name),
        el(
            "input",
            id=name,
            name=name,
            type="text",
            required=required,
            maxlength=_MOST[name],
            value=visit.form.get(name, ""),
            autocomplete="off",
            spellcheck="false",
            autocapitalize="off",
            aria_describedby=f"{name}-note",
            dir="ltr",
        ),
        el("p", visit.say(f"details.{name}_note"), id=f"{name}-note", class_="note"),
        class_="field",
    )


def _text(visit: Visit, name: str) -> Html:
    area = el(
        "textarea", visit.form.get(name, ""), id=name, name=name, required=True, rows=6, maxlength=8192, dir="auto"
    )
    return el("div", el("label", visit.say(f"details.{name}"), for_=name), area, class_="field")


def _option(visit: Visit, name: str) -> Html:
    box = el("input", type="radio", id=f"restricted-{name}", name="restricted", value=name, required=True)
    return el(
        "div", box, el("label", visit.say(f"details.restricted_{name}"), for_=f"restricted-{name}"), class_="choice"
    )
