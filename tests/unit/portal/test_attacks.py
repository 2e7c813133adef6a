"""What a hostile page, a hostile guest and a hostile text can do to the portal: nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

import privacy.handler
from chatapi.catalogue import read_policy
from privacy.portal.markup import Html, el, many
from tests.unit.identity.world import OWNER
from tests.unit.portal.reader import HOST, Portal
from tests.unit.privacy.world import PROJECT

DEVELOPER = read_policy("rights")["controller"]["website"]  # a link that a person may follow; nothing loads from it
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_sign_in_answers_the_same_for_known_and_unknown(portal: Portal) -> None:
    seen = []
    for project, address in ((PROJECT, OWNER), (PROJECT, "other@example.com"), ("projectB", OWNER)):
        reader = portal.reader()
        asked = reader.post(reader.get("/portal/sign-in").form("sign-in"), False, project=project, address=address)
        page = reader.get(asked.headers["location"][0])
        volatile = r'value="[^"]*"|c=[0-9A-Za-z]+'
        seen.append((asked.status, re.sub(volatile, "", asked.headers["location"][0]), re.sub(volatile, "", page.text)))
    assert seen[0] == seen[1] == seen[2]


def test_a_form_of_another_site_is_refused(portal: Portal) -> None:
    reader = portal.reader()
    form = reader.get("/portal/sign-in").form("sign-in")
    fields = {"project": PROJECT, "address": OWNER}
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert reader.post(form, headers=headers, **fields).status == 403
    for change in ({"key": ""}, {"key": "x" * 43}):
        assert reader.post(form, **fields, **change).status == 403
    # nor with the key of another browser, nor without a cookie
    other = portal.reader().get("/portal/sign-in").form("sign-in")
    assert reader.post(other, **fields).status == 403
    reader.cookies.clear()
    assert reader.post(form, **fields).status == 403
    assert portal.people.queue.started == []


def test_a_key_from_before_the_sign_in_is_worth_nothing_after_it(portal: Portal) -> None:
    reader = portal.reader()
    before = reader.get("/portal/sign-in").form("sign-in").fields["key"]
    visitor = reader.cookies["chatapi-visitor"]
    page = reader.sign_in()
    assert reader.cookies["chatapi-visitor"] != visitor
    form = page.form("requests")
    form.fields["key"] = before
    assert reader.post(form, type="erasure", sure="yes").status == 403
    assert portal.executions.started == []


@pytest.mark.parametrize("path", ["code?c={}&code={}", "enter?t={}", "sign-in?lang={}", "{}", "requests/{}"])
def test_hostile_text_in_an_address_stays_text(portal: Portal, path: str) -> None:
    page = portal.reader().get("/portal/" + path.format(EVIL, EVIL))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert all(named.get("src") for tag, named in page.tags if tag == "script")
    assert "alert(1)</script>" not in page.text


def test_hostile_text_in_a_form_stays_text(portal: Portal) -> None:
    reader = portal.reader()
    page = reader.post(reader.get("/portal/sign-in").form("sign-in"), project=EVIL, address=EVIL)
    assert page.status == 400
    assert "<script>alert" not in page.text
    page = reader.post(page.form("sign-in"), project=PROJECT, address=OWNER)
    page = reader.post(page.form("code"), code=EVIL, challenge=EVIL)
    assert page.status == 403
    assert "<script>alert" not in page.text


def test_every_page_loads_from_here_alone_and_cannot_be_framed(portal: Portal) -> None:
    reader = portal.reader()
    reader.sign_in()
    for path in ("", "/policy", "/verify", "/developers", "/sign-in", "/requests", "/nothing"):
        page = reader.get("/portal" + path)
        policy = page.headers["content-security-policy"][0]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == ["no-store"]
        for tag, named in page.tags:
            assert tag != "style"
            assert not any(name.startswith("on") or name == "style" for name in named), (tag, named)
            for url in (named.get("src"), named.get("href"), named.get("action")):
                assert url is None or url == DEVELOPER or re.match(r"[?#]|/(?!/)", url)


def test_a_made_up_host_gets_no_link_with_a_code(portal: Portal) -> None:
    portal.host = "evil.example"
    reader = portal.reader()
    assert reader.get("/portal/sign-in").status == 400
    assert portal.people.mail.sent == []


def test_the_portal_does_not_fall_over_what_is_no_form(portal: Portal) -> None:
    reader = portal.reader()
    reader.get("/portal/sign-in")
    for body in ("", "x" * 20_000, "%ff%fe=%zz", "&".join(f"a{n}=1" for n in range(50)), "ä"):
        assert reader.ask("POST", "/portal/sign-in", body).status in (400, 403, 413)
    page = reader.ask("POST", "/portal/sign-in", "{}", content_type="application/json")
    assert page.status == 400


def test_no_file_but_the_portals_own_is_served(portal: Portal) -> None:
    reader = portal.reader()
    assert reader.get("/portal/assets/portal.css").status == 200
    for name in ("../site.py", "..%2fsite.py", "nothing.css", "", "portal.css/..", "/etc/passwd"):
        assert reader.get("/portal/assets/" + name).status == 404


def test_with_tls_cookies_are_bound_to_the_host(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "prod")
    portal.host = "privacy.example"
    page = portal.reader().ask("GET", "/portal/sign-in", None)
    (cookie,) = page.headers["set-cookie"]
    assert cookie.startswith("__Host-chatapi-visitor=")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))


def test_below_a_stage_every_link_has_the_stage(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = portal.reader()
    real = privacy.handler.handler

    def staged(event: dict[str, Any], context: Any) -> dict[str, Any]:
        event["requestContext"]["path"] = "/live" + event["path"]
        return real(event, context)

    monkeypatch.setattr(privacy.handler, "handler", staged)
    for path in ("", "/policy", "/sign-in", "/developers"):
        page = reader.get("/portal" + path)
        paths = [url for url in page.links if url.startswith("/")] + [form.action for form in page.forms]
        assert paths
        assert all(url.startswith("/live/") for url in paths)


def test_the_signal_of_a_browser_is_honoured_and_shown(portal: Portal) -> None:
    assert "Global Privacy Control" in portal.reader().get("/portal", sec_gpc="1").text
    assert "Global Privacy Control" not in portal.reader().get("/portal", sec_gpc="0").text


def test_markup_is_made_by_construction_alone() -> None:
    assert el("p", EVIL, title=EVIL) == many(
        Html('<p title="&quot;&#x27;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;">'),
        EVIL,
        Html("</p>"),
    )
    for url in ("javascript:alert(1)", "//evil.example", "http://evil.example", " /x", "data:text/html,x"):
        with pytest.raises(ValueError, match="this origin"):
            el("a", "x", href=url)
    assert HOST
