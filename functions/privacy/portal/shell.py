"""The frame around every page, and the headers that let it load nothing else."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from chatapi.pages import HTML, page_headers
from privacy.portal.markup import Child, Html, el, many
from privacy.portal.visit import Visit
from privacy.portal.words import LANGUAGES, RIGHT_TO_LEFT

Answer = dict[str, Any]


def page(
    visit: Visit, title: str, *content: Child, status: int = 200, script: str | None = None, store: str = ""
) -> Answer:
    """A whole page: language and direction, a way past the navigation, the content, the languages. `store`: the origin
    to which a form of it uploads."""
    say = visit.say
    here = visit.path.partition("/")[0]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · {say('shell.name')}"),
        el("link", rel="stylesheet", href=visit.url("usage.css")),
        el("link", rel="stylesheet", href=visit.url("assets/portal.css")),
        el("script", type="module", src=visit.url(f"assets/{script}")) if script else None,
    )
    own = [("requests", say("nav.requests")), ("choices", say("nav.choices"))]
    links = own if visit.session else [("sign-in", say("nav.sign_in"))]
    links += [("policy", say("nav.policy")), ("verify", say("nav.verify")), ("developers", say("nav.developers"))]
    header = el(
        "header",
        el("a", say("shell.name"), href=visit.url(), class_="brand"),
        el(
            "nav",
            el(
                "ul",
                (
                    el("li", el("a", text, href=visit.url(path), aria_current="page" if path == here else None))
                    for path, text in links
                ),
            ),
            _sign_out(visit),
            aria_label=say("nav.label"),
        ),
        class_="bar",
    )
    body = el(
        "body",
        el("a", say("shell.skip"), href="#content", class_="skip"),
        header,
        el("main", el("h1", title), *content, id="content", tabindex="-1"),
        el("footer", _languages(visit), el("p", say("shell.foot"), class_="note")),
    )
    direction = "rtl" if visit.language in RIGHT_TO_LEFT else "ltr"
    whole = many(Html("<!doctype html>"), el("html", head, body, lang=visit.language, dir=direction))
    made = answer(visit, status, whole)
    if store:
        made["multiValueHeaders"] |= {name: [value] for name, value in page_headers(forms=True, store=store).items()}
    return made


def answer(visit: Visit, status: int, body: str, kind: str = HTML, **more: str) -> Answer:
    """API Gateway's answer, with the visit's cookies."""
    headers = {name: [value] for name, value in page_headers(forms=True).items()}
    headers |= {"content-type": [kind], "vary": ["cookie, accept-language"], "content-language": [visit.language]}
    headers |= {name.replace("_", "-"): [value] for name, value in more.items()}
    if visit.cookies:
        headers["set-cookie"] = list(visit.cookies)
    return {"statusCode": status, "multiValueHeaders": headers, "body": body, "isBase64Encoded": False}


def see(visit: Visit, path: str) -> Answer:
    """On to a page of the portal, by GET."""
    return answer(visit, 303, "", location=visit.url(path))


def form(visit: Visit, path: str, *content: Child, **attributes: str) -> Html:
    """A form that posts to the portal, with its key against forgery."""
    key = el("input", type="hidden", name="key", value=visit.form_key)
    return el("form", key, *content, method="post", action=visit.url(path), **attributes)


def date(visit: Visit, at: int | None, *, clock: bool = False) -> Html:
    """A time as people of the language write dates: day, month's name, year; in UTC."""
    if at is None:
        return many("–")
    parts = time.gmtime(at)
    text = visit.say("shell.date", day=parts.tm_mday, month=visit.say(f"months.m{parts.tm_mon}"), year=parts.tm_year)
    if clock:
        text = visit.say("shell.date_time", date=text, time=time.strftime("%H:%M", parts))
    return el("time", text, datetime=time.strftime("%Y-%m-%dT%H:%M:%SZ", parts))


def _sign_out(visit: Visit) -> Html | None:
    if visit.session is None:
        return None
    return form(visit, "sign-out", el("button", visit.say("nav.sign_out"), class_="plain small"), class_="inline")


def _in_language(visit: Visit, code: str) -> str:
    """This page in another language; a page that answers a form leads to the start, since it cannot be asked again."""
    if visit.method != "GET":
        return f"{visit.url()}?lang={code}"
    return "?" + urlencode({**visit.query, "lang": code})


def _languages(visit: Visit) -> Html:
    items = (
        el(
            "li",
            el(
                "a",
                name,
                href=_in_language(visit, code),
                lang=code,
                hreflang=code,
                dir="rtl" if code in RIGHT_TO_LEFT else "ltr",
                aria_current="true" if code == visit.language else None,
            ),
        )
        for code, name in LANGUAGES.items()
    )
    return el("nav", el("ul", items), aria_label=visit.say("nav.languages"), class_="languages")
