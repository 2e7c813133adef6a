"""Which stack the command talks to, and that no mistake of an operator's ends in a traceback or in another account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatapi_cli.target import Target, TargetError, find

LOCAL = {
    "aws_access_key_id": "000000000000",
    "aws_secret_access_key": "local",
    "aws_endpoint_url": "http://127.0.0.1:9",  # the discard port: nothing listens
    "region": "eu-central-1",
    "stack_name": "chatapi",
}


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "CHATAPI_STACK_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", ["{bad", "[]", "null", '{"region": "x"}', "", None], ids=repr)
def test_a_stack_file_that_is_named_is_used_or_refused_but_never_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "other.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("CHATAPI_STACK_FILE", str(file))
    with pytest.raises(TargetError, match=r"other\.json"):
        find()


def test_a_local_stack_that_is_gone_says_how_to_start_it(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(LOCAL))
    with pytest.raises(TargetError, match="make run"):
        find()


def test_a_profile_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(TargetError, match="AWS_PROFILE"):
        find("prod")


def test_without_credentials_or_region_there_is_no_stack() -> None:
    with pytest.raises(TargetError, match="No stack"):
        find()


def test_an_output_that_is_not_there_is_named() -> None:
    target = Target("eu-central-1", "", {"ProjectsTable": "p"}, "0", credentials=None)  # type: ignore[arg-type]
    assert target.output("ProjectsTable") == "p"
    with pytest.raises(TargetError, match="ErasureMachine"):
        target.output("ErasureMachine")
