"""What is another project's looks like what never was: on every route that takes an id, to the byte.

The routes are those of the published description, so a new one is tried, or fails here until somebody says what its
ids are. What differs is what differs between any two answers: the request's id, the date, what is left of the limits.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from chatapi.keys import SCOPES
from local.openapi import DOCUMENT
from tests.support.live_stack import AMPLE, MODEL, Live

PATHS: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
OF_NOBODY = ("/v1/models/{id}", "/v1/agent/{id}", "/v1/data-rights-request/{id}")
"""Models are everybody's; agents and their requests are not a project's, and their tokens are asked for first."""
SIGNED = "/v1/privacy/opendsr/"
ON_MOTO = not os.environ.get("CHATAPI_LIVE")
"""moto cannot make the key that signs what is answered there: these routes are tried on the local stack."""
ROUTES = [
    (method, path)
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    if "{id}" in path and path not in OF_NOBODY and operation.get("security") != []
    if not (ON_MOTO and path.startswith(SIGNED))
]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions/{id}": {"metadata": {}},
    "/v1/conversations/{id}": {"metadata": {}},
    "/v1/conversations/{id}/items": {"items": [{"role": "user", "content": "x"}]},
    "/v1/keys/{id}/rotate": {"overlap_seconds": 0},
}
VARY = ("x-request-id", "x-amzn-requestid", "date", "x-ratelimit-")


class Projects(NamedTuple):
    """The keys of two projects, and the ids of what the first one has, by the beginning of the route."""

    owner: httpx.Client
    stranger: httpx.Client
    ids: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def projects(live: Live) -> Iterator[Projects]:
    def client() -> httpx.Client:
        key = live.project(AMPLE, scopes=SCOPES).api_key
        root = live.base_url.removesuffix("/v1")
        return httpx.Client(base_url=root, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30)

    with client() as owner, client() as stranger:

        def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = owner.post(path, json=body)
            assert answer.status_code in (200, 201, 202), answer.text
            found: dict[str, Any] = answer.json()
            return found

        chat = {"model": MODEL, "store": True, "messages": [{"role": "user", "content": "Hello"}]}
        opendsr = str(uuid.uuid4())
        person = {"identity_type": "controller_customer_id", "identity_value": "b", "identity_format": "raw"}
        asked = {"regulation": "gdpr", "subject_request_id": opendsr, "subject_request_type": "access"}
        if not ON_MOTO:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            made(f"{SIGNED}v2/requests", {**asked, "submitted_time": now, "subject_identities": [person]})
        conversation = made("/v1/conversations", {"items": [{"role": "user", "content": "Hello"}]})["id"]
        [item] = owner.get(f"/v1/conversations/{conversation}/items").json()["data"]
        ids = {
            "/v1/chat/": {"id": made("/v1/chat/completions", chat)["id"]},
            "/v1/responses/": {"id": made("/v1/responses", {"model": MODEL, "store": True, "input": "Hello"})["id"]},
            "/v1/conversations/": {"id": conversation, "item": item["id"]},
            "/v1/keys/": {"id": made("/v1/keys", {"name": "second", "scopes": ["chat"]})["id"]},
            "/v1/privacy/requests/": {
                "id": made("/v1/privacy/requests", {"type": "access", "subject": {"user": "a"}})["id"]
            },
        }
        if not ON_MOTO:
            ids[SIGNED] = {"id": opendsr}
        yield Projects(owner, stranger, ids)


def unknown(name: str) -> str:
    """An id of the same shape that nobody has."""
    if name.startswith("k") and name[1:].isdigit():
        return f"k{int(name[1:]) + 7}"
    return str(uuid.uuid4()) if name.count("-") == 4 else name[:-4] + "zzzz"


def seen(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that an answer tells."""
    headers = [(name.lower(), value) for name, value in answer.headers.items() if not name.lower().startswith(VARY)]
    return answer.status_code, answer.content, sorted(headers)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_is_anothers_is_as_what_never_was(projects: Projects, method: str, path: str) -> None:
    [ids] = [ids for start, ids in projects.ids.items() if path.startswith(start)]
    nobodys = {name: unknown(value) for name, value in ids.items()}
    body = BODIES.get(path) if method == "post" else None

    def ask(named: dict[str, str]) -> httpx.Response:
        return projects.stranger.request(method.upper(), path.format(**named), json=body)

    foreign, none = ask(ids), ask(nobodys)
    assert foreign.status_code == 404
    assert seen(foreign) == seen(none)
    # an item of another's conversation is not found in one's own either
    if "{item}" in path:
        own = projects.stranger.post("/v1/conversations", json={}).json()["id"]
        assert seen(ask({**ids, "id": own})) == seen(ask({**nobodys, "id": own}))


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_nothing_of_anothers_is_built_on(projects: Projects, name: str) -> None:
    theirs = projects.ids["/v1/responses/" if name == "previous_response_id" else "/v1/conversations/"]["id"]

    def ask(value: str) -> httpx.Response:
        return projects.stranger.post("/v1/responses", json={"model": MODEL, "input": "Hello", name: value})

    assert seen(ask(theirs)) == seen(ask(unknown(theirs)))
    assert ask(theirs).status_code == 404


def test_the_owner_still_has_it_all(projects: Projects) -> None:
    for start, ids in projects.ids.items():
        path = next(path for method, path in ROUTES if method == "get" and path.startswith(start))
        answer = projects.owner.get(path.format(**ids))
        assert answer.status_code == 200, path
