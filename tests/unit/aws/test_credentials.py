"""Credentials are those of the moment: nothing survives a change of the environment, a restore or an expiry."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chatapi.aws import AwsUnavailable, Credentials
from chatapi.aws.credentials import AmbientCredentials
from tests.unit.aws.stub import Reply, Stub, running

NOON = 1_795_435_200.0  # 2026-11-23T12:00:00Z
NAMES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with running(Stub()) as stub:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{stub.url}/2021-04-23/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization")
        yield stub


def role(key: str, expires: str) -> Reply:
    found = {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": expires}
    return Reply(body=json.dumps(found).encode())


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = AmbientCredentials()
    for key, token in (("one", "t1"), ("two", None)):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        if token:
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        else:
            monkeypatch.delenv("AWS_SESSION_TOKEN")
        found = provider()
        assert (found.access_key, found.secret_key, found.token) == (key, "secret", token)


def test_no_credentials_is_an_error_that_names_nothing() -> None:
    with pytest.raises(AwsUnavailable) as caught:
        AmbientCredentials()()
    assert caught.value.code == "CredentialsMissing"


def test_the_container_is_asked_once_until_shortly_before_expiry(container: Stub) -> None:
    now = NOON
    provider = AmbientCredentials(clock=lambda: now)
    container.reply(role("first", "2026-11-23T12:10:00Z"), role("second", "2026-11-23T13:00:00Z"))
    assert provider().access_key == "first"
    now = NOON + 299
    assert provider().access_key == "first"
    now = NOON + 301  # less than five minutes left
    assert provider().access_key == "second"
    assert [request.path for request in container.requests] == ["/2021-04-23/credentials"] * 2
    assert container.requests[0].headers["authorization"] == "canary-authorization"


def test_a_restored_snapshot_does_not_use_what_was_fetched_before_it(
    container: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = AmbientCredentials(clock=lambda: NOON)
    container.reply(role("frozen", "2026-11-23T18:00:00Z"), role("thawed", "2026-11-23T18:00:00Z"))
    assert provider().access_key == "frozen"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    assert provider().access_key == "thawed"


def test_a_failed_refresh_is_bridged_until_the_expiry_and_no_longer(container: Stub) -> None:
    now = NOON
    provider = AmbientCredentials(clock=lambda: now)
    container.reply(role("first", "2026-11-23T12:10:00Z"), Reply(500), Reply(200, b'{"canary": 1}'), Reply(200, b"no"))
    assert provider().access_key == "first"
    now = NOON + 400
    assert provider().access_key == "first"
    assert provider().access_key == "first"
    now = NOON + 601
    with pytest.raises(AwsUnavailable):
        provider()


def test_the_authorization_token_is_not_sent_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://credentials.example/steal")
    with pytest.raises(AwsUnavailable):
        AmbientCredentials()()


def test_credentials_are_frozen_and_silent() -> None:
    credentials = Credentials("canary-key", "canary-secret", "canary-token")
    assert "canary" not in f"{credentials} {credentials!r}"
    with pytest.raises(AttributeError):
        credentials.token = "other"
