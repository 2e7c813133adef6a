"""What somebody who is signed in allows: each optional purpose, its state, and the button that changes it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from chatapi.errors import NotFound
from chatapi.store.consents import PERSON
from privacy.consents import Choices
from privacy.identity.tokens import Session
from privacy.portal.markup import Html, el
from privacy.portal.shell import Answer, answer, date, form, page, see
from privacy.portal.visit import Visit


def index(visit: Visit, choices: Choices, session: Session) -> Answer:
    """Every optional purpose; a form for each, so that one press is one choice (GDPR Art. 7(3): as easy to withdraw as
    to give)."""
    say = visit.say
    if visit.method == "POST":
        purpose, state = visit.form.get("purpose", ""), visit.form.get("state", "")
        choices.decide(session.project, session.subject, purpose, state, by=PERSON)
        return see(visit, "choices?saved=1")
    return page(
        visit,
        say("choices.title"),
        el("p", say("choices.lead"), class_="lead"),
        el("p", say("choices.saved"), class_="message good", role="status") if visit.query.get("saved") else None,
        *(_purpose(visit, shown) for shown in choices.shown(session.project, session.subject)),
        el("p", say("choices.identifier"), class_="note"),
    )


def receipt(visit: Visit, choices: Choices, session: Session) -> Answer:
    """The signed receipt of a choice, as a file."""
    for shown in choices.shown(session.project, session.subject):
        if shown["purpose"] == visit.query.get("purpose") and _signed(shown):
            name = f'attachment; filename="receipt-{shown["purpose"]}.json"'
            text = json.dumps(shown["receipt"], ensure_ascii=False, indent=1)
            return answer(visit, 200, text, "application/json", content_disposition=name)
    raise NotFound


def _purpose(visit: Visit, shown: dict[str, Any]) -> Html:
    say, name, allowed = visit.say, shown["purpose"], bool(shown["allowed"])
    state = el("span", say("choices.on" if allowed else "choices.off"), class_=f"badge {'kept' if allowed else 'off'}")
    return el(
        "section",
        el("h2", say(f"purposes.{name}"), " ", state, id=f"purpose-{name}"),
        el("p", say(f"purposes.{name}_text")),
        el("p", say("choices.nothing_today"), class_="note") if shown["processed_today"] == "nothing" else None,
        el("p", say("choices.since"), " ", date(visit, _since(shown), clock=True), class_="note")
        if shown["record"]
        else el("p", say("choices.never"), class_="note"),
        form(
            visit,
            "choices",
            el("input", type="hidden", name="purpose", value=name),
            el("input", type="hidden", name="state", value="withdrawn" if allowed else "granted"),
            # The purpose is in the button's name: read alone it still says what it does (WCAG 2.4.6).
            el(
                "button",
                say("choices.refuse" if allowed else "choices.allow"),
                class_="plain" if allowed else None,
                id=f"choose-{name}",
                aria_labelledby=f"choose-{name} purpose-{name}",
            ),
            _receipt(visit, shown),
        ),
        class_="choice-of",
    )


def _receipt(visit: Visit, shown: dict[str, Any]) -> Html | None:
    if not shown["record"]:
        return None
    if not _signed(shown):
        return el("span", visit.say("choices.receipt_soon"), class_="note")
    return el("a", visit.say("choices.receipt"), href=visit.url(f"choices/receipt?purpose={shown['purpose']}"))


def _signed(shown: dict[str, Any]) -> bool:
    return bool(shown["receipt"] and shown["receipt"]["jws"])


def _since(shown: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(shown["record"]["events"][-1]["event_time"]).timestamp())
