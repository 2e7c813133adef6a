"""The ways in and out: a code by mail, a link that a project handed out, signing out."""

from __future__ import annotations

from chatapi.errors import ApiError, BadRequest, RateLimited
from chatapi.ids import random62
from privacy.identity.service import CodeRefused, Identity, LinkRefused
from privacy.identity.tokens import SESSION_SECONDS, Session
from privacy.portal.markup import Child, Html, el
from privacy.portal.shell import Answer, form, page, see
from privacy.portal.visit import Visit


def sign_in(visit: Visit, identity: Identity) -> Answer:
    """Ask for a code; the answer is the same whoever asks."""
    if visit.method != "POST":
        return _ask(visit)
    try:
        name = identity.begin(visit.form.get("project", ""), visit.form.get("address", ""), visit.root, visit.language)
    except (BadRequest, RateLimited) as error:
        return _ask(visit, error)
    return see(visit, f"code?c={name}")


def code(visit: Visit, identity: Identity) -> Answer:
    """Type the code. A link in the mail fills it in, and a person presses the button: mail scanners open links."""
    if visit.method != "POST":
        return _type(visit, visit.query.get("c", ""), visit.query.get("code", ""))
    challenge = visit.form.get("challenge", "")
    try:
        session = identity.redeem(challenge, visit.form.get("code", ""))
    except CodeRefused:
        return _type(visit, challenge, "", wrong=True)
    return _in(visit, identity, session)


def enter(visit: Visit, identity: Identity) -> Answer:
    """A portal link: a button, then in. The link itself does nothing, so a preview of it does not use it up."""
    if visit.method == "POST":
        try:
            return _in(visit, identity, identity.enter(visit.form.get("token", "")))
        except LinkRefused:
            return page(visit, visit.say("enter.title"), _problem(visit.say("enter.refused")), status=403)
    token = el("input", type="hidden", name="token", value=visit.query.get("t", ""))
    return page(
        visit,
        visit.say("enter.title"),
        el("p", visit.say("enter.lead"), class_="lead"),
        form(visit, "enter", token, el("button", visit.say("enter.button"))),
    )


def sign_out(visit: Visit, identity: Identity) -> Answer:
    """Forget who this browser is."""
    del identity
    if visit.method != "POST":
        return see(visit, "")
    return see(visit.setting("session", "", 0).setting("visitor", random62(22), 86_400), "")


def _in(visit: Visit, identity: Identity, session: Session) -> Answer:
    """Signed in: a new visitor, so that nothing fixed before the sign-in counts after it."""
    kept = visit.setting("session", identity.token(session), SESSION_SECONDS)
    return see(kept.setting("visitor", random62(22), 86_400), "requests")


def _ask(visit: Visit, error: ApiError | None = None) -> Answer:
    say = visit.say
    problem = None
    if error is not None:
        problem = _problem(say("sign_in.too_many") if error.status == 429 else say(f"sign_in.bad_{error.param}"))

    def field(name: str, kind: str, complete: str, **more: str | bool | int) -> Html:
        bad = error is not None and error.param == name
        return el(
            "div",
            el("label", say(f"sign_in.{name}"), for_=name),
            el(
                "input",
                id=name,
                name=name,
                type=kind,
                autocomplete=complete,
                required=True,
                value=visit.form.get(name, "") if name == "project" else None,
                aria_describedby=f"{name}-note",
                aria_invalid="true" if bad else None,
                dir="ltr",
                **more,
            ),
            el("p", say(f"sign_in.{name}_note"), id=f"{name}-note", class_="note"),
            class_="field",
        )

    return page(
        visit,
        say("sign_in.title"),
        el("p", say("sign_in.lead"), class_="lead"),
        problem,
        form(
            visit,
            "sign-in",
            field("project", "text", "username", maxlength=8, spellcheck="false", autocapitalize="off"),
            field("address", "email", "email", maxlength=254),
            el("button", say("sign_in.button")),
            class_="stack",
        ),
        el("h2", say("sign_in.user_title")),
        el("p", say("sign_in.user_text")),
        status=200 if error is None else error.status,
    )


def _type(visit: Visit, challenge: str, code: str, *, wrong: bool = False) -> Answer:
    say = visit.say
    digits = code if code.isascii() and code.isdigit() and len(code) == 8 else ""
    return page(
        visit,
        say("code.title"),
        el("p", say("code.lead"), class_="lead"),
        _problem(say("code.refused")) if wrong else None,
        form(
            visit,
            "code",
            el("input", type="hidden", name="challenge", value=challenge[:64]),
            el(
                "div",
                el("label", say("code.label"), for_="code"),
                el(
                    "input",
                    id="code",
                    name="code",
                    type="text",
                    inputmode="numeric",
                    autocomplete="one-time-code",
                    required=True,
                    maxlength=12,
                    value=digits,
                    aria_describedby="code-note",
                    aria_invalid="true" if wrong else None,
                    dir="ltr",
                    class_="code",
                ),
                el("p", say("code.note"), id="code-note", class_="note"),
                class_="field",
            ),
            el("button", say("code.button")),
            class_="stack",
        ),
        el("p", el("a", say("code.again"), href=visit.url("sign-in"))),
        status=403 if wrong else 200,
    )


def _problem(text: Child) -> Html:
    return el("p", text, class_="message error", role="alert")
