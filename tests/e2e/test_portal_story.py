"""The portal on the local stack, as its users meet it: a code by mail, an erasure followed to its end, the proof.

RGT-0.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from chatapi.clock import SystemClock
from privacy.portal.words import words
from tests.e2e.local_stack import RunningStack
from tests.support.browser import launched, watched
from tests.support.transformed import ROOT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


def project(stack: RunningStack, contact: str) -> str:
    """A project whose owner is reached at an address; its id."""
    command = [sys.executable, "-m", "chatapi_cli.main", "projects", "create", "--name", "p", "--contact", contact]
    done = subprocess.run([*command, "--json"], env=stack.cli_environment(), capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["project_id"])


def mails(stack: RunningStack, address: str) -> list[dict[str, Any]]:
    """What MiniStack's SES was given for an address."""
    url = stack.info.aws_endpoint_url + "/_ministack/ses/messages"
    accounts = httpx.get(url, trust_env=False).json()["messages"].values()
    return [mail for sent in accounts for mail in sent if mail["To"] == [address]]


def code(stack: RunningStack, address: str, count: int = 1) -> tuple[str, str]:
    """(challenge, code) of the last of `count` mails."""
    deadline = SystemClock().monotonic() + 60
    while len(sent := mails(stack, address)) < count:
        assert SystemClock().monotonic() < deadline, "no mail came"
        time.sleep(0.1)
    found = re.search(r"code\?c=(\w+)&code=([0-9]{8})", sent[-1]["BodyText"])
    assert found
    return found[1], found[2]


PICTURES = {"home-en-light", "done-en-light", "request-fr-dark", "verify-ar-light", "policy-ar-light"}
PICTURES |= {"choices-en-light", "correction-fr-dark", "import-en-light"}
"""What docs/portal.md shows."""


def picture(page: Page, name: str, tmp_path: Path) -> None:
    """A screenshot; kept in docs/ where CHATAPI_SCREENSHOTS is set and the page shows it."""
    path = tmp_path / f"portal-{name}.png"
    page.screenshot(path=path, full_page=not name.startswith("policy"))
    assert path.stat().st_size > 8_000
    if os.environ.get("CHATAPI_SCREENSHOTS") and name in PICTURES:
        shutil.copy(path, ROOT / "docs" / path.name)


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark"), ("ar", "light")])
def test_an_owner_signs_in_has_their_data_erased_and_verifies_the_proof(
    stack: RunningStack, browser: Browser, tmp_path: Path, language: str, scheme: Any
) -> None:
    text, root = words(language), stack.info.portal_url
    address = f"owner-{language}@example.com"
    name = project(stack, address)
    view: Any = {"width": 900, "height": 700}
    context = browser.new_context(locale=language, color_scheme=scheme, viewport=view)
    with watched(context.new_page(), root.removesuffix("/portal")) as page:
        page.goto(root)
        picture(page, f"home-{language}-{scheme}", tmp_path)
        # when the owner asks for a code and types it
        page.get_by_role("link", name=text["nav.sign_in"], exact=True).click()
        page.get_by_label(text["sign_in.project"], exact=True).fill(name)
        page.get_by_label(text["sign_in.address"], exact=True).fill(address)
        page.get_by_role("button", name=text["sign_in.button"]).click()
        _, digits = code(stack, address)
        page.get_by_label(text["code.label"]).fill(f"{digits[:4]} {digits[4:]}")
        page.get_by_role("button", name=text["code.button"]).click()
        # then they are in, and ask for an erasure
        expect(page.get_by_text(text["requests.none"])).to_be_visible()
        page.get_by_label(text["rights.erasure"], exact=True).check()
        page.get_by_label(text["requests.sure"]).check()
        picture(page, f"request-{language}-{scheme}", tmp_path)
        page.get_by_role("button", name=text["requests.button"]).click()
        # and the page follows it by itself to its end
        expect(page.get_by_role("heading", level=1)).to_have_text(text["rights.erasure"])
        expect(page.locator(".badge.completed")).to_be_visible(timeout=90_000)
        expect(page.get_by_text(text["outcomes.shredded"])).to_be_visible()
        picture(page, f"done-{language}-{scheme}", tmp_path)
        with page.expect_download() as download:
            page.get_by_role("link", name=text["request.certificate"]).click()
        certificate = tmp_path / "certificate.json"
        download.value.save_as(certificate)
        # and the proof holds, by the keys that the stack publishes
        page.get_by_role("link", name=text["nav.verify"]).click()
        page.get_by_label(text["verify.file"]).set_input_files(certificate)
        expect(page.get_by_role("status")).to_contain_text(text["verify.valid"])
        picture(page, f"verify-{language}-{scheme}", tmp_path)
        page.get_by_role("link", name=text["nav.policy"]).click()
        picture(page, f"policy-{language}-{scheme}", tmp_path)
    context.close()
    # and what is erased is the address too: the next code for it is never sent
    assert len(mails(stack, address)) == 1


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
def test_an_end_user_chooses_holds_the_receipt_and_has_a_text_corrected(
    stack: RunningStack, browser: Browser, tmp_path: Path, language: str, scheme: Any
) -> None:
    text, root, name = words(language), stack.info.portal_url, f"chooser-{language}"
    headers = {"authorization": f"Bearer {stack.info.api_key}"}
    # given somebody with a stored chat, who comes by a link of the service that they use
    told = "I live in Berlin."
    chat = {
        "model": "smollm2-135m",
        "store": True,
        "user": name,
        "messages": [{"role": "user", "content": told}],
        "max_tokens": 8,
    }
    with httpx.Client(base_url=stack.info.base_url, headers=headers, trust_env=False, timeout=120) as api:
        record = api.post("/chat/completions", json=chat).raise_for_status().json()["id"]
        link = api.post("/privacy/sessions", json={"subject": {"user": name}}).raise_for_status().json()["url"]
    view: Any = {"width": 900, "height": 700}
    context = browser.new_context(locale=language, color_scheme=scheme, viewport=view)
    with watched(context.new_page(), root.removesuffix("/portal")) as page:
        page.goto(link)
        page.get_by_role("button", name=text["enter.button"]).click()
        # when they allow a purpose, then it is on, and the signed receipt follows
        page.get_by_role("link", name=text["nav.choices"]).click()
        page.get_by_role("button", name=text["choices.allow"]).first.click()
        expect(page.get_by_text(text["choices.saved"])).to_be_visible()
        expect(page.locator(".badge.kept")).to_have_text(text["choices.on"])
        receipt = page.get_by_role("link", name=text["choices.receipt"])
        deadline = SystemClock().monotonic() + 60
        while not receipt.count():
            assert SystemClock().monotonic() < deadline, "no receipt was signed"
            page.goto(root + "/choices")
        picture(page, f"choices-{language}-{scheme}", tmp_path)
        with page.expect_download() as download:
            receipt.click()
        download.value.save_as(tmp_path / "receipt.json")
        # and the browser verifies it
        page.get_by_role("link", name=text["nav.verify"]).click()
        page.get_by_label(text["verify.file"]).set_input_files(tmp_path / "receipt.json")
        expect(page.get_by_role("status")).to_contain_text(text["verify.valid_choice"])
        # when they have a text corrected, then the request is followed to its end
        page.get_by_role("link", name=text["nav.requests"]).click()
        page.get_by_label(text["rights.correction"], exact=True).check()
        page.get_by_role("button", name=text["requests.button"]).click()
        page.get_by_label(text["details.record"]).fill(record)
        page.get_by_label(text["details.path"]).fill("/messages/0/content")
        page.get_by_label(text["details.value"]).fill("I live in Paris.")
        picture(page, f"correction-{language}-{scheme}", tmp_path)
        page.get_by_role("button", name=text["requests.button"]).click()
        expect(page.locator(".badge.completed")).to_be_visible(timeout=90_000)
        expect(page.get_by_text(record)).to_be_visible()
    context.close()
    # and it is the corrected text that is stored
    stored = httpx.get(f"{stack.info.base_url}/chat/completions/{record}/messages", headers=headers, trust_env=False)
    assert stored.json()["data"][0]["content"] == "I live in Paris."


def form(client: httpx.Client, page: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', client.get(page).text)
    return dict(found)


def test_an_end_user_takes_a_copy_along_without_a_script(stack: RunningStack) -> None:
    headers = {"authorization": f"Bearer {stack.info.api_key}"}
    with httpx.Client(trust_env=False, base_url=stack.info.portal_url, follow_redirects=True) as client:
        # given a link that the project asked for
        body = {"subject": {"user": "portal-reader"}}
        made = client.post(f"{stack.info.base_url}/privacy/sessions", json=body, headers=headers).json()
        token = made["url"].rpartition("=")[2]
        # when its reader goes in and asks for a copy
        client.post("/enter", data=form(client, f"/enter?t={token}")).raise_for_status()
        page = client.post("/requests", data={**form(client, "/requests"), "type": "portability"})
        path = page.url.path.removeprefix("/portal")
        deadline = SystemClock().monotonic() + 90
        while f"{path}/export" not in page.text:
            assert SystemClock().monotonic() < deadline, page.text
            time.sleep(0.5)
            page = client.get(path)
        # then it is a ZIP with a page to read, as often as they ask for it, and the signed receipt is there too
        for _ in range(2):
            copy = client.get(f"{path}/export")
            names = zipfile.ZipFile(io.BytesIO(copy.content)).namelist()
            assert any(name.endswith(".html") for name in names)
        assert client.get(f"{path}/certificate").json()["object"] == "privacy.certificate"
        # and the link is used up
        assert client.post("/enter", data=form(client, f"/enter?t={token}")).status_code == 403


def test_of_two_verifications_of_one_code_at_once_one_wins(stack: RunningStack) -> None:
    address, root = "race@example.com", stack.info.portal_url
    name = project(stack, address)
    # within the tries of a challenge, so that only the one use decides
    clients = [httpx.Client(trust_env=False, base_url=root) for _ in range(4)]
    asked = clients[0].post("/sign-in", data={**form(clients[0], "/sign-in"), "project": name, "address": address})
    assert asked.status_code == 303
    challenge, digits = code(stack, address)
    fields = [{**form(client, f"/code?c={challenge}"), "code": digits} for client in clients]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda both: both[0].post("/code", data=both[1]), zip(clients, fields, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [303, 403, 403, 403]
    # and the winner alone reaches the owner's page
    reached = [client.get("/requests").status_code for client in clients]
    assert sorted(reached) == [200, 303, 303, 303]
    for client in clients:
        client.close()


def test_guesses_and_floods_end_and_tell_nothing(stack: RunningStack) -> None:
    address, root = "guessed@example.com", stack.info.portal_url
    name = project(stack, address)
    statuses: dict[str, list[int]] = {}
    for who in (address, "stranger@example.com"):
        with httpx.Client(trust_env=False, base_url=root) as client:
            asked = [
                client.post("/sign-in", data={**form(client, "/sign-in"), "project": name, "address": who})
                for _ in range(6)
            ]
            target = asked[0].headers["location"]
            fields = form(client, target[target.index("/code") :])
            tried = [client.post("/code", data={**fields, "code": f"{guess:08d}"}) for guess in range(6)]
            statuses[who] = [answer.status_code for answer in (*asked, *tried)]
    # six asked, five answered; every guess refused; known and unknown alike
    assert statuses[address] == statuses["stranger@example.com"] == [303] * 5 + [429] + [403] * 6
    code(stack, address, 5)
    assert mails(stack, "stranger@example.com") == []
