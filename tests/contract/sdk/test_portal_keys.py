"""The portal's page of keys in a real browser, against the running stack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import barriers, launched, watched
from tests.support.live_stack import AMPLE, Caller, Live
from tests.support.transformed import ROOT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with launched() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, live: Live) -> Iterator[Page]:
    """A page of keys; it may say nothing on the console and ask nobody but this origin."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000}, locale="en-GB")
    origin = live.base_url.removesuffix("/v1")
    with watched(context.new_page(), origin) as made:
        made.goto(f"{origin}/portal/keys")
        yield made
    context.close()


@pytest.fixture
def owner(live: Live) -> Caller:
    """A project with a key that manages keys, and may chat."""
    return live.project(AMPLE, scopes=["keys", "chat"])


def show(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Show keys").click()


def status(live: Live, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{live.base_url}/models", headers=headers, trust_env=False).status_code


def made(page: Page) -> str:
    """The secret that is shown, this once."""
    expect(page.get_by_role("heading", name="Your new key")).to_be_focused()
    return page.get_by_label("The key", exact=True).input_value()


def answer(page: Page, button: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def test_a_key_is_made_rotated_and_revoked_and_each_does_what_it_says(page: Page, live: Live, owner: Caller) -> None:
    message, rows = page.locator("#message"), page.locator("tbody tr")
    # given the keys of a project
    show(page, owner.api_key)
    expect(rows).to_have_count(1)
    # when one is made that stores nothing, then it is shown once, works, and is in the list with its limits
    page.get_by_label("Name").fill("ci")
    page.get_by_label("chat: ").check()
    page.get_by_label("What it stores").select_option("none")
    page.get_by_label("Hidden from models").select_option("all")
    page.get_by_label("Requests a minute").fill("1000")
    page.get_by_role("button", name="Make the key").click()
    first = made(page)
    assert status(live, first) == 200
    expect(rows).to_have_count(2)
    new = rows.filter(has=page.get_by_role("button", name="Rotate ci"))  # two of one second have no order
    expect(new).to_contain_text("nothing")
    expect(new).to_contain_text("1,000 requests a minute")
    expect(new).to_contain_text("hides personal values from models")
    # when it is hidden, it is on the page no more
    page.get_by_role("button", name="I have it").click()
    fields = page.evaluate("[...document.querySelectorAll('input')].map(field => field.value).join()")
    assert first not in page.content() + fields
    # when it is rotated without an overlap, then the new one works and the old one does not
    page.get_by_role("button", name="Rotate ci").click()
    page.get_by_label("The old key ends").select_option("0")
    answer(page, "Rotate")
    second = made(page)
    assert (status(live, first), status(live, second)) == (401, 200)
    # when a revocation is thought better of, nothing happens; when it is meant, the key ends
    revoke = page.get_by_role("button", name="Revoke ci").last
    revoke.click()
    answer(page, "Leave it")
    assert status(live, second) == 200
    revoke.click()
    answer(page, "Revoke")
    expect(message).to_have_text("Revoked.")
    assert status(live, second) == 401


def test_a_refusal_names_what_is_wrong_and_nothing_is_lost(page: Page, live: Live, owner: Caller) -> None:
    message = page.locator("#message")
    show(page, owner.api_key)
    page.get_by_label("Name").fill("too much")
    page.get_by_role("button", name="Make the key").click()
    expect(message).to_have_text("Choose at least one scope.")
    page.get_by_label("usage: ").check()
    page.get_by_role("button", name="Make the key").click()
    expect(message).to_contain_text("cannot grant more")
    expect(message).to_contain_text("(scopes)")
    expect(page.get_by_label("Name")).to_have_value("too much")
    # a key without the scope is told how to get one that has it
    show(page, live.project(AMPLE, scopes=["chat"]).api_key)
    expect(message).to_contain_text("--scope keys")
    expect(page.locator("#result")).to_be_hidden()


def test_whoever_revokes_the_key_that_asks_is_told_that_it_is_done(page: Page, live: Live, owner: Caller) -> None:
    show(page, owner.api_key)
    page.get_by_role("button", name="Revoke", exact=False).first.click()
    answer(page, "Revoke")
    expect(page.locator("#message")).to_contain_text("Revoked. The list cannot be shown with this key")
    assert status(live, owner.api_key) == 401


def test_neither_a_key_nor_a_secret_is_kept_or_in_an_address(page: Page, owner: Caller) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    show(page, owner.api_key)
    page.get_by_label("Name").fill("x")
    page.get_by_label("chat: ").check()
    page.get_by_role("button", name="Make the key").click()
    secret = made(page)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert not any(key in text for key in (owner.api_key, secret) for text in (kept, *urls))
    page.reload()
    expect(page.get_by_label("API key")).to_have_value("")
    assert secret not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_barrier_and_is_not_cut_off(
    page: Page, live: Live, owner: Caller, packages: Path, tmp_path: Path, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    show(page, owner.api_key)
    page.get_by_label("Name").fill("web")
    page.get_by_label("chat: ").check()
    page.get_by_role("button", name="Make the key").click()
    made(page)
    page.get_by_role("button", name="I have it").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert barriers(page, packages / "axe-core" / "axe.min.js") == []
    picture = tmp_path / "portal-keys.png"
    page.get_by_label("API key").fill("")
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000
    if os.environ.get("CHATAPI_SCREENSHOTS") and scheme == "light":
        shutil.copy(picture, ROOT / "docs" / "portal-keys.png")
    page.get_by_role("button", name="Revoke web").click()
    assert barriers(page, packages / "axe-core" / "axe.min.js") == []
    page.set_viewport_size({"width": 320, "height": 700})
    answer(page, "Leave it")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
