"""A real Chromium for the portal's tests, and axe, which looks for barriers on a page (Deque, axe-core)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from local.browser import find

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def launched() -> Iterator[Browser]:
    """Headless Chromium. No browser is a failure: see local/browser.py."""
    path = find()
    assert path, "no browser: python -m local.browser installs one"
    with sync_playwright() as playwright:
        # Chromium's sandbox needs a user other than root, which CI is.
        opened = playwright.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0)
        yield opened
        opened.close()


@contextmanager
def watched(page: Page, origin: str) -> Iterator[Page]:
    """A page that may say nothing on the console and may ask nobody but its own origin."""
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert [url for url in asked if not url.startswith((origin, "blob:" + origin))] == []
    # A status that the test asked for is told by Chromium itself.
    assert [text for text in said if not text.startswith("Failed to load resource")] == []


def barriers(page: Page, axe: Path) -> list[str]:
    """What axe finds against WCAG 2.2 AA and good practice: rule and place."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})"
        ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))",
        WCAG,
    )
    return [str(line) for line in found]
