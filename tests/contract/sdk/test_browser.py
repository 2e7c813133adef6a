"""A page of any origin may call the chat routes: the preflight needs no key, and what comes back can be read."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import httpx
import pytest

from tests.contract.sdk.asking import HELLO
from tests.support.live_stack import AMPLE, MODEL, Caller, Live
from tests.support.scripted_upstream import ScriptedUpstream

ORIGIN = {"origin": "https://page.example"}
SAFELISTED = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified"}
"""What a page may read without being told so (Fetch standard, "CORS-safelisted response-header name")."""
OURS = re.compile(
    r"x-request-id|x-ratelimit-.*|x-should-retry|retry-after.*|data-handling|privacy-signals|privacy-policy-version"
)


def readable(response: httpx.Response) -> set[str]:
    """The headers of ours that a page can read; all of them, or this fails."""
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    exposed = set(response.headers["access-control-expose-headers"].split(", "))
    ours = {name for name in response.headers if OURS.fullmatch(name)}
    assert ours <= exposed | SAFELISTED
    return ours


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/chat/completions", "POST"),
        ("/chat/completions/chatcmpl-1", "DELETE"),
        ("/chat/completions/chatcmpl-1/messages", "GET"),
        ("/models", "GET"),
        ("/models/x", "GET"),
    ],
)
def test_a_preflight_without_a_key_is_answered(live: Live, path: str, method: str) -> None:
    asked = {**ORIGIN, "access-control-request-method": method, "access-control-request-headers": "authorization"}
    answer = httpx.options(live.base_url + path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"].split(",")
    assert "authorization" in answer.headers["access-control-allow-headers"].split(",")


def test_every_header_that_openai_node_knows_may_be_sent(live: Live, packages: Path) -> None:
    name = re.compile(r"""['"](?:x-stainless|openai)-[a-z-]+['"]:""", re.IGNORECASE)
    sources = (file.read_text() for file in (packages / "openai").rglob("*.mjs"))
    names = {found.strip("'\":").lower() for text in sources for found in name.findall(text)}
    assert len(names) >= 10
    allowed = httpx.options(live.base_url + "/chat/completions").headers["access-control-allow-headers"].split(",")
    assert names <= set(allowed)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_tells_a_page_all_it_tells(
    live: Live, caller: Caller, upstream: ScriptedUpstream, stream: bool
) -> None:
    answer = httpx.post(
        live.base_url + "/chat/completions",
        headers={**ORIGIN, "authorization": f"Bearer {caller.api_key}"},
        json={"model": MODEL, "messages": HELLO, "stream": stream},
    )
    assert answer.status_code == 200
    told = {"x-request-id", "data-handling", "privacy-policy-version", "x-ratelimit-remaining-requests"}
    assert told <= readable(answer)


def test_refusals_can_be_read_too(live: Live, caller: Caller) -> None:
    def get(path: str, key: str) -> httpx.Response:
        return httpx.get(live.base_url + path, headers={**ORIGIN, "authorization": f"Bearer {key}"})

    # by the function
    unknown = get("/models/nobodys", caller.api_key)
    assert unknown.status_code == 404
    assert "x-request-id" in readable(unknown)
    # by the gateway: no key, no route, and a quota that is used up
    assert readable(get("/models", "nonsense")) == readable(get("/nowhere", "nonsense")) == {"x-request-id"}
    spent = live.project(dataclasses.replace(AMPLE, rpd=1))
    get("/models", spent.api_key)
    refused = get("/models", spent.api_key)
    assert refused.status_code == 429
    assert {"retry-after", "retry-after-ms", "x-should-retry", "x-ratelimit-limit-requests"} <= readable(refused)
