"""A person has their copy read in again by the portal, in a browser without scripts (RGT-2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chatapi.ids import random62
from privacy.portal.words import words
from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person
from tests.e2e.test_portal_story import picture
from tests.support.browser import launched, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


def test_a_copy_is_sent_confirmed_and_read_in_without_a_script(
    stack: RunningStack, person: Callable[[str], Person], browser: Browser, tmp_path: Path
) -> None:
    # given a person whose chat was erased, and their own copy of it
    who, text = person("takes-back-" + random62(6)), words("en")
    chat = who.chats("what was said")
    before = who.get(f"/chat/completions/{chat}/messages").json()
    (tmp_path / "copy.zip").write_bytes(who.export(who.asks("portability")["id"]))
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    assert who.asks("erasure")["status"] == "completed"
    made = who.http.post("/privacy/sessions", json={"subject": {"user": who.name}}).raise_for_status().json()
    root = stack.info.portal_url
    context = browser.new_context(java_script_enabled=False, viewport={"width": 900, "height": 700})
    page = context.new_page()
    page.goto(made["url"])
    page.get_by_role("button", name=text["enter.button"]).click()
    # when they choose it, and send what is no copy, then they are told so
    page.get_by_label(text["rights.import"], exact=True).check()
    page.get_by_role("button", name=text["requests.button"]).click()
    picture(page, "import-en-light", tmp_path)
    page.get_by_label(text["importing.file"]).set_input_files(tmp_path / "broken.zip")
    page.get_by_role("button", name=text["importing.button"]).click()
    page.get_by_role("button", name=text["importing.read"]).click()
    expect(page.get_by_role("alert")).to_have_text(text["importing.archive_invalid"])
    # when they send their copy, then it is read in after they say so
    page.get_by_label(text["importing.file"]).set_input_files(tmp_path / "copy.zip")
    page.get_by_role("button", name=text["importing.button"]).click()
    expect(page.get_by_text(text["importing.arrived"])).to_be_visible()
    assert page.url.startswith(root + "/import/imp_")
    page.get_by_role("button", name=text["importing.read"]).click()
    request = page.url.rpartition("/")[2]
    context.close()
    assert who.until(request, "completed", "failed")["result"]["imported"] == {"completion": 1}
    assert who.get(f"/chat/completions/{chat}/messages").json() == before


def test_the_script_says_before_that_a_file_is_too_large(
    stack: RunningStack, person: Callable[[str], Person], browser: Browser, tmp_path: Path
) -> None:
    who, text = person("too-large"), words("en")
    (tmp_path / "large.zip").write_bytes(b"0" * (33 * 1024 * 1024))
    made = who.http.post("/privacy/sessions", json={"subject": {"user": who.name}}).raise_for_status().json()
    context = browser.new_context()
    with watched(context.new_page(), stack.info.portal_url.removesuffix("/portal")) as page:
        page.goto(made["url"])
        page.get_by_role("button", name=text["enter.button"]).click()
        page.goto(stack.info.portal_url + "/import")
        page.get_by_label(text["importing.file"]).set_input_files(tmp_path / "large.zip")
        expect(page.get_by_role("alert")).to_have_text(text["importing.too_large"].format(most=32))
        page.get_by_role("button", name=text["importing.button"]).click()
        assert page.url == stack.info.portal_url + "/import"  # nothing was sent
    context.close()
