"""/docs and /openapi.json: whole or packed, or a 304; at the root and behind a stage; nothing that lets others in."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import privacy.reference
from privacy.handler import handler

DESCRIPTION = Path(privacy.reference.__file__).parents[1] / "openapi.json"


def get(path: str, *, stage: str = "", **headers: str) -> dict[str, Any]:
    """What API Gateway gets, for a caller without a key."""
    context = {"requestId": "req-1", "path": stage + path, "domainName": "api.example"}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    event = {"httpMethod": "GET", "path": path, "headers": sent, "requestContext": context}
    return handler({**event, "queryStringParameters": None, "body": None, "isBase64Encoded": False}, None)


def header(answer: dict[str, Any], name: str) -> str:
    [value] = answer["multiValueHeaders"][name]
    return str(value)


class Loaded(HTMLParser):
    """The addresses that a page loads, and whether it has any script or style of its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link"):
            self.urls += [url for url in (given.get("src"), given.get("href")) if url]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("stage", ["", "/live"])
def test_the_page_and_all_that_it_loads(stage: str) -> None:
    page = get("/docs", stage=stage)
    loaded = Loaded(page["body"])
    assert page["statusCode"] == 200
    assert len(loaded.urls) == 4
    assert loaded.inline == []
    for url in loaded.urls:
        assert url.startswith(f"{stage}/docs/")
        name, _, digest = url.removeprefix(f"{stage}/docs/").partition("?v=")
        answer = get(f"/docs/{name}", stage=stage)
        assert answer["statusCode"] == 200
        assert digest in header(answer, "etag")
        assert "immutable" in header(answer, "cache-control")
        assert header(answer, "content-type").startswith("text/css" if name.endswith(".css") else "text/javascript")


def test_the_page_lets_nobody_else_in() -> None:
    policy = dict(rule.split(" ", 1) for rule in header(get("/docs"), "content-security-policy").split("; "))
    assert policy.pop("img-src") == "'self' data:"
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


@pytest.mark.parametrize("stage", ["", "/live"])
def test_the_description_names_the_server_that_it_came_from(stage: str) -> None:
    told = json.loads(get("/openapi.json", stage=stage)["body"])
    packed = json.loads(DESCRIPTION.read_text())
    assert told == packed | {"servers": [{"url": stage or "/"}]}


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/swagger-ui.js", "/docs/docs.css"])
def test_what_can_be_unpacked_is_packed(path: str) -> None:
    whole = get(path)
    for accepted in ("gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "deflate, GZIP"):
        packed = get(path, accept_encoding=accepted)
        assert header(packed, "content-encoding") == "gzip"
        assert packed["isBase64Encoded"] is True
        assert gzip.decompress(base64.b64decode(packed["body"])).decode() == whole["body"]
    for refused in ("", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"):
        plain = get(path, accept_encoding=refused)
        assert "content-encoding" not in plain["multiValueHeaders"]
        assert plain["body"] == whole["body"]
    assert header(whole, "vary") == "accept-encoding"
    assert len(json.dumps(whole)) < 6_000_000  # bytes that a function may answer


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/swagger-ui.css"])
def test_what_the_caller_has_is_not_sent_again(path: str) -> None:
    tag = header(get(path), "etag")
    assert re.fullmatch(r'W/"[0-9a-f]{16}"', tag)
    for condition in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = get(path, If_None_Match=condition)
        assert (again["statusCode"], again["body"], header(again, "etag")) == (304, "", tag)
    assert get(path, If_None_Match='"other"')["statusCode"] == 200


@pytest.mark.parametrize(
    "name", ["pages.py", "..", "%2e%2e", "docs.js.map", "swagger-ui.min.css", "DOCS.JS", "x" * 4096]
)
def test_no_other_file_is_told(name: str) -> None:
    answer = get(f"/docs/{name}")
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (404, "not_found")


def test_a_stage_cannot_leave_its_attribute() -> None:
    page = get("/docs", stage='/"><script>alert(1)</script>')["body"]
    assert "<script>alert" not in page
