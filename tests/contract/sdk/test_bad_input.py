"""Whatever is sent: one error shape, all four keys, a request id, no trace of the inside, no echo of the outside."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest

from chatapi.store.projects import Limits
from chatapi.verdict import MAX_BODY_BYTES
from tests.support.live_stack import MODEL, Caller, Live
from tests.support.scripted_upstream import ScriptedUpstream

CANARY = "canary-Zq7-never-echoed"
CHAT = "/chat/completions"
JSON = {"content-type": "application/json"}
INSIDE = (b"Traceback", b'File "', b".py", b"Error:", b"pydantic", b"/var/task", b"amazonaws", b"arn:aws")


@dataclass(frozen=True)
class Case:
    """A request, and the status and code of its refusal. `key` None: the caller's own."""

    name: str
    status: int
    code: str
    path: str = CHAT
    method: str = "POST"
    content: bytes = b""
    headers: dict[str, str | bytes] = field(default_factory=dict)
    key: str | None = None

    def __str__(self) -> str:
        return self.name


def body(**changes: Any) -> bytes:
    message = {"role": "user", "content": CANARY}
    return json.dumps({"model": MODEL, "messages": [message], **changes}).encode()


def bad_json(name: str, content: bytes, code: str = "invalid_json", **headers: str) -> Case:
    return Case(
        name, 400, code, content=content, headers={**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
    )


BODIES = [
    bad_json("an empty body", b""),
    bad_json("blanks", b" \n\t"),
    bad_json("text", CANARY.encode()),
    bad_json("half of an object", body()[:-5]),
    bad_json("two objects", body() + body()),
    bad_json("a trailing comma", body()[:-1] + b",}"),
    bad_json("not a number", b'{"model": NaN' + CANARY.encode() + b"}"),
    bad_json("a lone surrogate", body().replace(b"canary", b"\\ud800canary")),
    bad_json("not UTF-8", body().replace(b"canary", b"\xff\xfecanary")),
    bad_json("UTF-16", body().decode().encode("utf-16")),
    bad_json("NUL bytes", b"\0" * 8 + body()),
    bad_json("gzip that nobody agreed to", gzip.compress(body()), content_encoding="gzip"),
    bad_json("a form", b"model=" + CANARY.encode(), content_type="application/x-www-form-urlencoded"),
    bad_json(
        "a multipart", b"--x\r\n\r\n" + CANARY.encode() + b"\r\n--x--", content_type="multipart/form-data; boundary=x"
    ),
    bad_json("arrays 100,000 deep", b"[" * 100_000),
    bad_json("objects 100,000 deep", b'{"messages":' * 100_000 + b"1" + b"}" * 100_000),
    bad_json("a string that is deep in tools", body(tools=CANARY), "invalid_type"),
    bad_json("an array", json.dumps([CANARY]).encode(), "invalid_type"),
    bad_json("a string", json.dumps(CANARY).encode(), "invalid_type"),
    bad_json("null", b"null", "invalid_type"),
    bad_json("a model that is a number", body(model=7), "invalid_type"),
    bad_json("a message that is a string", body(messages=[CANARY]), "invalid_type"),
    bad_json("an unknown role", body(messages=[{"role": CANARY, "content": "x"}]), "invalid_value"),
    bad_json(
        "an unknown kind of part", body(messages=[{"role": "user", "content": [{"type": CANARY}]}]), "invalid_value"
    ),
    bad_json("a tool of no kind", body(tools=[{"type": CANARY, CANARY: {"name": CANARY}}]), "invalid_value"),
    bad_json("a flag that is a word", body(stream=CANARY), "invalid_type"),
    bad_json("a huge number", body(max_tokens=10**400), "invalid_value"),
    bad_json("a negative number", body(max_tokens=-1), "invalid_value"),
    bad_json("metadata that is deep", body(metadata={CANARY: {CANARY: CANARY}}), "invalid_type"),
    bad_json("metadata that is long", body(metadata={CANARY: CANARY * 100}), "invalid_value"),
    bad_json(
        "no model",
        json.dumps({"messages": [{"role": "user", "content": CANARY}]}).encode(),
        "missing_required_parameter",
    ),
    Case("an unknown model", 404, "model_not_found", content=body(model=CANARY), headers=dict(JSON)),
]
LARGE = [
    Case("a byte above 4 MiB", 413, "request_too_large", content=b"x" * (MAX_BODY_BYTES + 1), headers=dict(JSON)),
    Case(
        "above API Gateway's 10 MB", 413, "request_too_large", content=b"x" * (10 * 1024 * 1024 + 1), headers=dict(JSON)
    ),
]
KEYS = [
    Case("another scheme", 401, "invalid_api_key", headers={"authorization": f"Basic {CANARY}"}),
    Case("no scheme", 401, "invalid_api_key", headers={"authorization": CANARY}),
    Case("an empty bearer", 401, "invalid_api_key", headers={"authorization": "Bearer"}),
    Case("a foreign key", 401, "invalid_api_key", key=f"sk-{CANARY}"),
    Case("a forged key", 401, "invalid_api_key", key="chatapi_live_" + "a" * 57),
    Case("bytes for a key", 401, "invalid_api_key", headers={"authorization": b"Bearer \xff\xfe" + CANARY.encode()}),
    Case("a key of 8 KB", 401, "invalid_api_key", key=CANARY * 340),
    Case(
        "no key, and a body above all limits",
        401,
        "invalid_api_key",
        headers={"authorization": ""},
        content=b"x" * 5_000_000,
    ),
]
ROUTES = [
    Case("an unknown route", 404, "not_found", path=f"/{CANARY}"),
    Case("the root", 404, "not_found", path="/", method="GET"),
    Case("a route of OpenAI's that is not here", 404, "not_found", path="/moderations", content=body()),
    Case("an unknown method", 404, "not_found", method="PUT", content=body()),
    Case("a made-up method", 404, "not_found", method="CANARY"),
    Case("an unknown model", 404, "model_not_found", path=f"/models/{CANARY}", method="GET"),
    *(
        Case(f"{method} {name}", 404, "not_found", path=f"{CHAT}/{wanted}", method=method)
        for method in ("GET", "DELETE")
        for name, wanted in {
            "a foreign id": f"chatcmpl-{CANARY}",
            "an id with a separator": "s%23x%23y",
            "an id with a NUL": "%00",
            "an id that is not UTF-8": "%ff%fe",
            "an id that climbs": "%2e%2e%2f%2e%2e%2fmodels",
            "an id of 3,000 letters": CANARY + "x" * 3000,
            "an id with a bad escape": "%zz",
        }.items()
    ),
    Case("the messages of a foreign id", 404, "not_found", path=f"{CHAT}/{CANARY}/messages", method="GET"),
    *(
        Case(f"a list with {query[:20]}", 400, "invalid_value", path=f"{CHAT}?{query}", method="GET")
        for query in (
            f"limit={CANARY}",
            "limit=-1",
            "limit=%D9%A1%D9%A2%D9%A3",
            "limit=1e9",
            f"order={CANARY}",
            "after=",
            "after=" + "x" * 99,
        )
    ),
]


ALL = [*BODIES, *LARGE, *KEYS, *ROUTES]


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    """A bare client."""
    with httpx.Client(timeout=30, trust_env=False) as made:
        yield made


def send(web: httpx.Client, case: Case, live: Live, caller: Caller) -> httpx.Response:
    headers: dict[str, Any] = {"authorization": f"Bearer {case.key or caller.api_key}", **case.headers}
    return web.request(case.method, live.base_url + case.path, content=case.content, headers=headers)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_it_is_refused_in_the_one_shape(
    case: Case, web: httpx.Client, live: Live, caller: Caller, upstream: ScriptedUpstream
) -> None:
    response = send(web, case, live, caller)

    assert_refusal(response, case.status, case.code)
    assert upstream.requests == []


def test_a_body_without_a_length_is_measured_as_it_comes(
    web: httpx.Client, live: Live, caller: Caller, upstream: ScriptedUpstream
) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * 1_000_000

    headers = {"authorization": f"Bearer {caller.api_key}", **JSON}

    assert_refusal(web.post(live.base_url + CHAT, content=pieces(), headers=headers), 413, "request_too_large")


def test_a_large_body_of_escapes_is_good_input(web: httpx.Client, live: Live, upstream: ScriptedUpstream) -> None:
    # given a body below 4 MiB that would double inside a Lambda event, were it there as text (Lambda takes 6 MB)
    roomy = live.project(limits=Limits(tpm=5_000_000))
    content = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": '"' * 1_800_000}]}).encode()
    assert 3_500_000 < len(content) < MAX_BODY_BYTES
    headers = {"authorization": f"Bearer {roomy.api_key}", **JSON}
    # then it is answered
    assert web.post(live.base_url + CHAT, content=content, headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=utf-16", CANARY, None])
def test_the_content_type_does_not_matter_where_the_body_is_json(
    kind: str | None, web: httpx.Client, live: Live, caller: Caller, upstream: ScriptedUpstream
) -> None:
    headers = {"authorization": f"Bearer {caller.api_key}", **({"content-type": kind} if kind else {})}

    response = web.post(live.base_url + CHAT, content=body(), headers=headers)

    assert response.status_code == 200
    assert CANARY not in response.text


def test_large_headers_are_of_no_use(web: httpx.Client, live: Live, caller: Caller, upstream: ScriptedUpstream) -> None:
    headers = {"authorization": f"Bearer {caller.api_key}", "x-filler": CANARY * 400, "x-request-id": CANARY}

    response = web.post(live.base_url + CHAT, content=b"{}", headers=headers)

    assert_refusal(response, 400, "missing_required_parameter")


def test_no_log_of_any_process_has_what_was_sent(web: httpx.Client, live: Live, caller: Caller) -> None:
    for case in ALL:
        send(web, case, live, caller)

    live.settled(caller.project)
    assert live.arrived()
    assert [log.name for log in live.log_dir.iterdir() if CANARY.encode() in log.read_bytes()] == []


def assert_refusal(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    answer = cast(dict[str, Any], response.json())
    assert answer.keys() == {"error"}
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert isinstance(answer["error"]["type"], str)
    assert len(response.headers["x-request-id"]) == 36
    sent_back = b"\n".join([*(name + b": " + value for name, value in response.headers.raw), response.content])
    assert CANARY.lower().encode() not in sent_back.lower()
    assert [mark for mark in INSIDE if mark in sent_back] == []
