"""/docs in a real Chromium: a developer reads the operations, gives a key and tries one out, by keyboard as well.

Swagger UI is not ours: what axe finds in it is listed in `KNOWN`, by rule, so that nothing is added unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import barriers, launched, watched
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_upstream import ScriptedUpstream

KNOWN = {
    "heading-order",  # the groups of operations are h3 below an h2 that is the title's
    "nested-interactive",  # the path inside an operation's button is a link to it
    "scrollable-region-focusable",  # an example that is wider than its box
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)  # Swagger UI is large: on a busy machine five seconds are not enough
    with launched() as found:
        yield found
    expect.set_options(timeout=5_000)


@pytest.fixture
def origin(live: Live) -> str:
    return live.base_url.removesuffix("/v1")


def opened(page: Page, url: str) -> Page:
    """The reference, once its operations are there."""
    page.goto(url)
    expect(page.locator(".opblock").first).to_be_visible()
    return page


def authorized(page: Page, key: str) -> None:
    page.get_by_role("button", name="Authorize", exact=True).click()
    dialog = page.locator(".dialog-ux")
    dialog.get_by_label("auth-bearer-value").fill(key)
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close", exact=True).last.click()


def pressed(page: Page, button: Locator) -> None:
    """Go on with Tab until the button has the focus, and press it. What opens is drawn a moment later."""
    expect(button).to_be_visible()
    for _ in range(100):
        page.keyboard.press("Tab")
        if button.count() and button.evaluate("element => element === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")


@pytest.mark.parametrize("stage", ["", "/live"])
def test_a_developer_reads_and_tries(
    browser: Browser, origin: str, caller: Caller, upstream: ScriptedUpstream, stage: str
) -> None:
    context = browser.new_context()
    with watched(context.new_page(), origin) as page:
        # given the reference, at the root and behind the stage
        opened(page, f"{origin}{stage}/docs")
        expect(page.locator("#operations-chat-createChatCompletion")).to_be_visible()
        described = httpx.get(f"{origin}/openapi.json", trust_env=False).json()["paths"]
        expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in described.values()))

        # when somebody gives a key, and a chat
        authorized(page, caller.api_key)
        operation = page.locator("#operations-chat-createChatCompletion")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        body = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
        operation.locator("textarea.body-param__text").fill(body)
        with page.expect_response(lambda answer: "/chat/completions" in answer.url) as waiting:
            operation.get_by_role("button", name="Execute").click()

        # then it was asked of the place that the page came from, with the key, and the answer is shown
        answer = waiting.value
        assert (answer.status, answer.url) == (200, f"{origin}{stage}/v1/chat/completions")
        assert answer.request.headers["authorization"] == f"Bearer {caller.api_key}"
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(operation.locator(".live-responses-table")).to_contain_text("chat.completion")

        # and the key is in no storage of the browser's
        kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert caller.api_key not in kept
        assert kept == '[{},{},""]'
    context.close()


def test_a_link_decides_nothing(browser: Browser, origin: str) -> None:
    context = browser.new_context()
    elsewhere = "https://evil.example/openapi.json"
    with watched(context.new_page(), origin) as page:
        opened(page, f"{origin}/docs?url={elsewhere}&configUrl={elsewhere}&spec={{}}&supportedSubmitMethods=[]")
        expect(page.get_by_role("heading", name="ChatAPI", exact=False).first).to_be_visible()
        expect(page.locator("#operations-public-getHealth")).to_be_visible()
    context.close()


def test_a_link_leads_to_an_operation(browser: Browser, origin: str) -> None:
    page = browser.new_page()
    page.goto(f"{origin}/docs#/chat/listModels")
    expect(page.locator("#operations-chat-listModels")).to_have_class(re.compile("is-open"))
    page.close()


def test_by_keyboard_alone(browser: Browser, origin: str) -> None:
    context = browser.new_context()
    with watched(context.new_page(), origin) as page:
        opened(page, f"{origin}/docs")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the operations")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#reference")).to_be_focused()
        operation = page.locator("#operations-history-listChatCompletions")
        pressed(page, operation.locator(".opblock-summary-control"))
        expect(operation.locator(".opblock-summary-control")).to_have_attribute("aria-expanded", "true")
        pressed(page, operation.get_by_role("button", name="Try it out"))
        pressed(page, operation.get_by_role("button", name="Execute"))
        status = operation.locator(".live-responses-table .response-col_status").last
        expect(status).to_contain_text("401")  # nobody gave a key
    context.close()


def test_what_is_in_the_way_is_known(browser: Browser, origin: str, packages: Path) -> None:
    page = opened(browser.new_page(), f"{origin}/docs")
    page.locator("#operations-chat-createChatCompletion .opblock-summary-control").click()
    found = barriers(page, packages / "axe-core" / "axe.min.js")
    assert {line.partition(":")[0] for line in found} == KNOWN, found
    page.close()


def test_a_second_visit_costs_a_304(browser: Browser, origin: str) -> None:
    context = browser.new_context()
    page = opened(context.new_page(), f"{origin}/docs")
    asked: dict[str, int] = {}
    page.on("response", lambda answer: asked.update({answer.url.partition("?")[0].removeprefix(origin): answer.status}))
    opened(page, f"{origin}/docs")
    assert asked.keys() <= {
        "/docs",
        "/openapi.json",
        "/docs/docs.js",
        "/docs/docs.css",
        "/docs/swagger-ui.js",
        "/docs/swagger-ui.css",
    }
    sizes = page.evaluate("performance.getEntriesByType('resource').map(e => [e.name, e.transferSize])")
    assert [name for name, size in sizes if "/docs/" in name and size] == []  # nothing of them came over the wire
    context.close()
