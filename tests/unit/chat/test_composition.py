"""What is wired: a model server is offered only where the register's words about it are true."""

from __future__ import annotations

import pytest

from chat.composition import compose

ON_AWS = {"nova-micro", "nova-lite", "titan-embed-text-v2", "gpt-oss-20b", "gpt-oss-120b"}
SERVED = {"smollm2-135m", "smollm2-135m-embeddings"}
LOCAL = {*SERVED, "bedrock-smollm2-135m"}


@pytest.mark.parametrize(
    ("stage", "url", "offered"),
    [
        ("local", "http://127.0.0.1:9/v1", LOCAL),
        ("local", "http://[::1]:9/v1", LOCAL),
        ("local", "https://models.example.com/v1", LOCAL - SERVED),
        ("local", "http://127.0.0.1.example.com/v1", LOCAL - SERVED),
        ("local", "", LOCAL - SERVED),
        (
            "prod",
            "http://127.0.0.1:9/v1",
            ON_AWS,
        ),
    ],
)
def test_models_at_another_host_are_not_offered(
    monkeypatch: pytest.MonkeyPatch, stage: str, url: str, offered: set[str]
) -> None:
    for name in (
        "VAULT_TABLE",
        "RECORDS_TABLE",
        "REQUESTS_TABLE",
        "PROJECTS_TABLE",
        "EPOCH_KEY",
        "SUBJECT_PEPPER_SECRET",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("STAGE", stage)
    monkeypatch.setenv("MODEL_URL", url)
    assert set(compose().registry.models) == offered
