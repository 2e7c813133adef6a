"""The portal's page of usage in a real browser, against the running stack."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from chatapi.catalogue import Catalogued
from chatapi.clock import day_of
from chatapi.store.dynamo import DynamoTable
from chatapi.store.usage import UsageRows
from chatapi.usage import Counts
from tests.support.browser import launched
from tests.support.live_stack import AMPLE, Caller, Live
from tests.support.transformed import ROOT

DAY = 86_400
NOISY = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with launched() as opened:
        yield opened


@pytest.fixture
def said() -> list[str]:
    """What the console said, the uncaught errors, and the addresses that were asked."""
    return []


@pytest.fixture
def page(browser: Browser, live: Live, said: list[str]) -> Iterator[Page]:
    """A page at the portal; it may say nothing on the console and ask nobody but this origin."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, locale="en-GB")
    made = context.new_page()
    origin = live.base_url.removesuffix("/v1")
    made.on("console", lambda message: said.append(message.text))
    made.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    made.goto(f"{origin}/portal/usage")
    yield made
    context.close()
    assert [url for url in asked if not url.startswith((origin, "blob:" + origin))] == []


@pytest.fixture
def owner(live: Live) -> Caller:
    """A project with a month of usage of two models and three keys, and a key that may read it."""
    caller = live.project(AMPLE, scopes=["usage"])
    table = DynamoTable(live.client("dynamodb"), live.outputs["ProjectsTable"], sort=None)
    rows, now = UsageRows(Catalogued(table, "projects")), time.time()
    for back in range(30):
        wave = 3 + (back * 7) % 11
        by = {
            (kid, model): Counts(wave * share, 900 * wave * share, 90 * wave, 400 * wave * share, 310 * wave * share)
            for kid, model, share in (("k1", "nova-lite", 5), ("Xy", "nova-micro", 3), ("q7", "nova-micro", 2))
        }
        if back % 7 != 3:  # days without a chat
            rows.put(caller.project, day_of(now - back * DAY), by, now)
    rows.mark(now)
    return caller


def show(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Show usage").click()


def test_usage_is_plotted_with_the_same_figures_in_a_table(
    page: Page, owner: Caller, said: list[str], tmp_path: Path
) -> None:
    # when the owner types the key
    show(page, owner.api_key)
    # then there is a bar of two models for each day with usage, a legend, and the figures in a table
    expect(page.locator("#legend li")).to_have_text(["nova-lite", "nova-micro"])
    assert page.locator(".day").count() == 30
    assert page.locator(".day .s0").count() == page.locator(".day .s1").count() == 26
    assert page.locator("tbody tr").count() == 26 * 3
    expect(page.locator("#fresh")).to_contain_text("Gathered 20")
    total = page.locator("tfoot td").first.inner_text()
    assert int(total.replace(",", "")) == sum(10 * (3 + (b * 7) % 11) for b in range(30) if b % 7 != 3)
    # and by key there are three series; as cost, the axis is in dollars
    page.get_by_label("By", exact=True).select_option("key_id")
    page.get_by_label("Show", exact=True).select_option("cost_micro_usd")
    expect(page.locator("#legend li")).to_have_text(["k1", "Xy", "q7"])
    expect(page.locator(".tick.left").last).to_contain_text("$")
    assert said == []
    picture = tmp_path / "portal-usage.png"
    page.get_by_label("By", exact=True).select_option("model")
    page.get_by_label("Show", exact=True).select_option("tokens")
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    if os.environ.get("CHATAPI_SCREENSHOTS"):
        shutil.copy(picture, ROOT / "docs" / "portal-usage.png")


def test_the_key_is_kept_in_its_field_alone(page: Page, owner: Caller) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    show(page, owner.api_key)
    expect(page.locator("#result")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert owner.api_key not in kept
    assert not any(owner.api_key in url for url in urls)
    page.reload()
    expect(page.get_by_label("API key")).to_have_value("")


def test_every_failure_says_what_helps(page: Page, live: Live, owner: Caller) -> None:
    message = page.locator("#message")
    # a key that is none is told without asking the API
    show(page, "sk-123")
    expect(message).to_contain_text("not a whole key")
    # one that is not accepted
    show(page, owner.api_key[:-1] + ("0" if owner.api_key[-1] != "0" else "1"))
    expect(message).to_contain_text("not accepted")
    # one without the scope
    show(page, live.project(AMPLE, scopes=["chat"]).api_key)
    expect(message).to_contain_text("--scope usage")
    # a period that is too long
    page.get_by_label("From").fill("2026-01-01")
    page.get_by_label("To").fill("2026-12-01")
    show(page, owner.api_key)
    expect(message).to_contain_text("at most 92 days")
    # and after all that, an empty one
    page.get_by_label("To").fill("2026-01-31")
    show(page, owner.api_key)
    expect(message).to_have_text("No usage in this period.")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "does not answer"),
        ({"status": 429, "headers": {"retry-after": "7"}, "body": "{}"}, "Try again in 7 seconds"),
        ({"status": 503, "body": "<html>"}, "cannot answer at the moment (503)"),
        ({"status": 403, "body": '{"error":{"code":"address_not_allowed"}}'}, "from your address"),
        ({"status": 200, "body": "nonsense"}, "cannot be read"),
    ],
)
def test_a_service_in_trouble_is_told_and_can_be_tried_again(
    page: Page, owner: Caller, answer: dict[str, Any] | None, text: str
) -> None:
    page.route("**/v1/usage?*", lambda route: route.fulfill(**answer) if answer else route.abort())
    show(page, owner.api_key)
    expect(page.locator("#message")).to_contain_text(text)
    page.unroute("**/v1/usage?*")
    page.get_by_role("button", name="Show usage").click()
    expect(page.locator("#result")).to_be_visible()


def test_the_plot_is_read_by_keyboard(page: Page, owner: Caller) -> None:
    show(page, owner.api_key)
    expect(page.locator("#result")).to_be_visible()
    last = page.locator(".day").last
    # given the last control before the plot, Tab leads to one stop: the last day
    page.get_by_role("button", name="Download CSV").focus()
    page.keyboard.press("Tab")
    expect(last).to_be_focused()
    expect(page.locator("#detail")).to_contain_text(time.strftime("%Y-%m-", time.gmtime()))
    # the arrows move by a day, Home to the first; the next Tab leaves the plot for the table
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".day").nth(28)).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".day").first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Usage by day, table")).to_be_focused()


def test_it_is_dark_where_the_reader_wants_it_dark(page: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != light


def test_nothing_that_comes_over_the_wire_is_markup_and_no_inline_script_runs(
    page: Page, live: Live, owner: Caller, said: list[str]
) -> None:
    table = DynamoTable(live.client("dynamodb"), live.outputs["ProjectsTable"], sort=None)
    rows = UsageRows(Catalogued(table, "projects"))
    rows.put(owner.project, day_of(time.time()), {("k1", NOISY): Counts(1, 10**9)}, time.time())
    show(page, owner.api_key)
    expect(page.locator("tbody")).to_contain_text(NOISY)
    assert (page.locator("img").count(), page.title(), said) == (0, "Usage", [])
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.wait_for_function("true")
    assert page.title() == "Usage"
    assert any("Content Security Policy" in text for text in said)


def test_it_works_below_a_stage(page: Page, live: Live, owner: Caller) -> None:
    origin = live.base_url.removesuffix("/v1")
    paths: list[str] = []

    def from_root(route: Route) -> None:
        paths.append(route.request.url.removeprefix(origin).partition("?")[0])
        route.fulfill(response=route.fetch(url=route.request.url.replace("/live/", "/")))

    page.route("**/live/**", from_root)
    page.goto(f"{origin}/live/portal/usage")
    show(page, owner.api_key)
    expect(page.locator("#result")).to_be_visible()
    assert {"/live/portal/usage", "/live/portal/usage.js", "/live/portal/usage.css", "/live/v1/usage"} <= set(paths)


def test_csv_is_downloaded_with_the_key_in_a_header(page: Page, owner: Caller) -> None:
    page.get_by_label("API key").fill(owner.api_key)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename.startswith("usage-20")
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("day,key_id,model,")
    assert len(lines) == 1 + 26 * 3
