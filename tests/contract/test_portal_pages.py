"""The portal's pages in a real browser: no barriers, no script needed, nothing from elsewhere; certificates hold."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from chatapi.certificates import RECEIPT, seal_receipt, verify, verify_receipt
from privacy.portal.words import LANGUAGES, RIGHT_TO_LEFT, words
from tests.support.browser import barriers, launched, watched
from tests.support.live_stack import Live
from tests.unit.privacy.world import World

PUBLIC = ("", "/policy", "/verify", "/developers", "/sign-in", "/code?c=x", "/enter?t=x", "/no-such-page")
PAGES = (*PUBLIC, "/requests", "/choices", "/ask/correction", "/ask/completion", "/ask/restriction", "/import")
PAGES = (*PAGES, "/import/imp_" + "0" * 24)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


@pytest.fixture
def root(live: Live) -> str:
    return live.base_url.removesuffix("/v1") + "/portal"


def link(live: Live, user: str) -> str:
    """A portal link, as a project gets it for an end user."""
    headers = {"authorization": f"Bearer {live.project().api_key}"}
    body = {"subject": {"user": user}}
    answer = httpx.post(f"{live.base_url}/privacy/sessions", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 201
    assert user not in answer.text
    return str(answer.json()["url"])


def entered(context: BrowserContext, live: Live, language: str = "en") -> Page:
    """A page of somebody who came in by such a link."""
    page = context.new_page()
    page.goto(link(live, "alice"))
    page.get_by_role("button", name=words(language)["enter.button"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words(language)["requests.title"])
    return page


@pytest.mark.parametrize(
    ("language", "scheme"), [*((one, "light") for one in LANGUAGES), ("en", "dark"), ("ar", "dark")]
)
def test_no_page_has_a_barrier_in_any_language_light_or_dark(
    browser: Browser, live: Live, root: str, packages: Path, language: str, scheme: Any
) -> None:
    context = browser.new_context(locale=language, color_scheme=scheme)
    with watched(entered(context, live, language), root.removesuffix("/portal")) as page:
        found = {}
        for path in PAGES:
            page.goto(root + path)
            found[path] = barriers(page, packages / "axe-core" / "axe.min.js")
            html = page.locator("html")
            expect(html).to_have_attribute("lang", language)
            expect(html).to_have_attribute("dir", "rtl" if language in RIGHT_TO_LEFT else "ltr")
        assert {path: lines for path, lines in found.items() if lines} == {}
    context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_cut_off_on_a_small_screen(browser: Browser, root: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    for path in PAGES:
        page.goto(root + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path  # WCAG 1.4.10, reflow
    context.close()


def test_a_keyboard_reaches_the_content_first(browser: Browser, root: str) -> None:
    page = browser.new_page()
    page.goto(root)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=words("en")["shell.skip"])).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.close()


def test_the_essentials_need_no_script(browser: Browser, live: Live, root: str) -> None:
    context = browser.new_context(java_script_enabled=False, locale="fr")
    page = entered(context, live, "fr")
    text = words("fr")
    expect(page.get_by_text(text["requests.none"])).to_be_visible()
    page.get_by_role("button", name=text["requests.button"]).click()
    assert page.url == root + "/requests"  # the browser itself asks for a choice
    page.get_by_role("link", name=text["nav.verify"]).click()
    expect(page.get_by_text(text["verify.no_script"])).to_be_visible()
    expect(page.locator("#check")).to_be_hidden()
    page.get_by_role("link", name="العربية").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words("ar")["verify.title"])
    page.get_by_role("link", name=words("ar")["nav.policy"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words("ar")["policy.title"])
    context.close()


def proof() -> tuple[dict[str, Any], dict[str, Any]]:
    """A certificate of a whole erasure, and the keys that verify it."""
    world = World()
    world.store()
    case = world.case()
    world.erase(case)
    return world.certificate(case), {"keys": [world.signer.jwk()]}


def test_a_certificate_is_verified_offline_from_two_files(browser: Browser, root: str, tmp_path: Path) -> None:
    certificate, jwks = proof()
    files = {"good": certificate, "jwks": jwks, "bad": {**certificate, "request": "<img src=x onerror=alert(1)>"}}
    for name, value in files.items():
        (tmp_path / name).write_text(json.dumps(value, ensure_ascii=False))
    (tmp_path / "noise").write_bytes(b"\xff\x00 no json")
    context = browser.new_context()
    with watched(context.new_page(), root.removesuffix("/portal")) as page:
        page.goto(root + "/verify")
        context.set_offline(True)
        verdict = page.get_by_role("status")
        page.locator("summary").click()
        page.get_by_label(words("en")["verify.keys"]).set_input_files(tmp_path / "jwks")
        for name, key in (("good", "valid"), ("bad", "invalid"), ("noise", "unreadable"), ("good", "valid")):
            page.get_by_label(words("en")["verify.file"]).set_input_files(tmp_path / name)
            expect(verdict).to_contain_text(words("en")[f"verify.{key}"])
        assert page.locator("main img").count() == 0
    context.close()


def changed(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return change


def dropped(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return change


FORGERIES = {
    "nothing": lambda document: None,
    "another object": changed("object", to="privacy.receipt"),
    "no payload": dropped("payload"),
    "another request": changed("request", to="dsr_other"),
    "another subject": changed("payload", "request", to="dsr_other"),
    "a failed store": changed("payload", "stores", 0, "outcome", to="failed"),
    "an unknown outcome": changed("payload", "stores", 0, "outcome", to="fine"),
    "a count that cannot be": changed("payload", "stores", 0, "count", to=-1),
    "a count that is no number": changed("payload", "stores", 0, "count", to="1"),
    "no stores": changed("payload", "stores", to=[]),
    "stores that are none": changed("payload", "stores", to=[1]),
    "an opened canary": changed("payload", "canary", to={"opens": True}),
    "no ledger": dropped("payload", "ledger"),
    "another place in the ledger": changed("payload", "ledger", "seq", to=7),
    "another opening": changed("payload", "ledger", "opening", to="00" * 32),
    "a short opening": changed("payload", "ledger", "opening", to="00"),
    "more in the ledger": changed("payload", "ledger", "more", to=1),
    "another version": changed("payload", "version", to=2),
    "no signature": changed("jws", to=""),
    "three dots": changed("jws", to="a.b.c"),
    "a fraction": changed("payload", "at", to=1.5),
    "a key that is not ASCII": changed("payload", "ä", to=1),
    "an emoji": changed("payload", "note", to='🔑\u2028\u007f\u0001"\\/'),
    "half an emoji": changed("payload", "note", to="\ud83d"),
}


def test_the_browser_finds_what_the_command_finds(browser: Browser, root: str) -> None:
    certificate, jwks = proof()
    other = {"keys": [World().signer.jwk()]}
    page = browser.new_page()
    page.goto(root + "/verify")
    for name, forge in FORGERIES.items():
        document = copy.deepcopy(certificate)
        forge(document)
        for keys in (jwks, other, {}):
            expected = verify(document, keys)
            # as text: what a browser would read from the files
            told = page.evaluate(
                f"([c, k]) => import('{root}/assets/certificate.js').then(m => m.verify(JSON.parse(c), JSON.parse(k)))",
                [json.dumps(document), json.dumps(keys)],
            )
            assert told == expected, name
    page.close()


RECEIPTS = {
    "nothing": lambda document: None,
    "another object": changed("object", to="privacy.certificate"),
    "no record": dropped("record"),
    "no signature yet": changed("jws", to=None),
    "no signature": dropped("jws"),
    "another choice": changed("record", "event_state", to="granted"),
    "more": changed("more", to=1),
    "a fraction": changed("record", "revision", to=1.5),
}


def test_the_browser_finds_in_a_receipt_what_the_command_finds(browser: Browser, root: str) -> None:
    signer = World().signer
    receipt = {"object": RECEIPT, "receipt_id": "con_1.1", "record": {"event_state": "withdrawn", "revision": 1}}
    page = browser.new_page()
    page.goto(root + "/verify")
    for name, forge in RECEIPTS.items():
        document = json.loads(seal_receipt(receipt, signer))
        forge(document)
        for keys in ({"keys": [signer.jwk()]}, {"keys": [World().signer.jwk()]}, {}):
            told = page.evaluate(
                f"([c, k]) => import('{root}/assets/certificate.js')"
                ".then(m => m.verifyReceipt(JSON.parse(c), JSON.parse(k)))",
                [json.dumps(document), json.dumps(keys)],
            )
            assert told == verify_receipt(document, keys), name
    page.close()
