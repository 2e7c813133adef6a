"""One-time links to exports: once, for a short time, and no way around."""

from __future__ import annotations

import contextlib
import hashlib
import threading

import pytest

from chatapi.errors import NotFound
from privacy.exports.tasks import LIFE_SECONDS
from tests.unit.privacy.api import REQUESTS, Api, code
from tests.unit.privacy.world import PROJECT

ACCESS = {"type": "access", "subject": {"user": "alice@example.com"}}


def exported(api: Api) -> str:
    _, case = api.call("POST", REQUESTS, ACCESS)
    api.world.export(api.world.cases.get(PROJECT, case["id"]))
    return str(case["id"])


def link(api: Api, name: str) -> str:
    status, made = api.call("GET", f"{REQUESTS}/{name}/export")
    assert status == 200
    assert made["expires_at"] == int(api.world.clock.now()) + 600
    root, _, token = made["url"].rpartition("/")
    assert root == "https://api.example/live/v1/privacy/downloads"
    return str(token)


def follow(api: Api, token: str) -> int:
    return int(api.raw("GET", "/v1/privacy/downloads/" + token)["statusCode"])


def test_a_link_leads_to_the_bytes_once(api: Api) -> None:
    name = exported(api)
    token = link(api, name)
    answer = api.raw("GET", "/v1/privacy/downloads/" + token)
    assert answer["statusCode"] == 303
    (place,) = answer["multiValueHeaders"]["location"]
    assert f"/{name}.zip?for=60" in place
    assert answer["multiValueHeaders"]["cache-control"] == ["no-store"]
    assert "alice" not in str(answer)
    assert follow(api, token) == 404
    assert follow(api, link(api, name)) == 303


def test_too_late_is_too_late(api: Api) -> None:
    token = link(api, exported(api))
    api.world.clock.advance(600)
    assert follow(api, token) == 404


def test_after_seven_days_or_an_erasure_there_is_nothing(api: Api) -> None:
    name = exported(api)
    token = link(api, name)
    api.downloads.gone = True
    assert follow(api, token) == 404
    api.world.clock.advance(LIFE_SECONDS)
    assert code(api.call("GET", f"{REQUESTS}/{name}/export"))[:2] == (404, "export_not_available")


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 42 + "=", "../../../../etc/passwd", "%00" * 20, "A" * 4000])
def test_guesses_look_alike(api: Api, token: str) -> None:
    exported(api)
    assert follow(api, token) == 404


def test_only_a_digest_of_the_token_is_kept(api: Api) -> None:
    token = link(api, exported(api))
    stored = str(api.world.requests.rows)
    assert token not in stored
    assert hashlib.sha256(token.encode()).hexdigest() in stored


def test_of_many_at_once_one_gets_it(api: Api) -> None:
    """The update is one conditional write, which the fake makes one at a time as DynamoDB does."""
    token, lock, got = link(api, exported(api)), threading.Lock(), []
    plain = api.world.requests.update

    def update(*args: object) -> object:
        with lock:
            return plain(*args)  # type: ignore[arg-type]

    api.world.requests.update = update  # type: ignore[method-assign, assignment]

    def race() -> None:
        with contextlib.suppress(NotFound):
            got.append(api.rights.download(token))

    threads = [threading.Thread(target=race) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_another_projects_key_gets_no_link(api: Api) -> None:
    name = exported(api)
    assert code(api.call("GET", f"{REQUESTS}/{name}/export", project="projectB"))[:2] == (404, "not_found")
    assert code(api.call("GET", f"{REQUESTS}/{name}/export", outcome="insufficient_scope"))[0] == 403
