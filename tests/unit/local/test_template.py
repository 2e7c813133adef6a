"""What the edge is told about the built template, and when a build is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local.deploy import INPUTS, inputs_digest
from local.errors import LocalError
from local.settings import ROOT, Settings, aws_environment
from local.template import BuiltTemplate

TEMPLATE = """
Parameters: {Days: {Type: Number, Default: 7}, Mode: {Type: String, Default: GOVERNANCE}}
Globals: {Function: {Layers: [!Ref Core]}}
Resources:
  Core: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Core}}
  Loop: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Loop}}
  Chat:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Chat, Layers: [!Ref Loop], Events: {Any: {Type: Api, Properties: {Path: /, Method: GET}}}}
  Guard: {Type: AWS::Serverless::Function, Properties: {CodeUri: Guard}}
  Task: {Type: AWS::Serverless::Function, Properties: {CodeUri: Task, Events: {Daily: {Type: Schedule}}}}
  Api:
    Type: AWS::Serverless::Api
    Properties: {Auth: {Authorizers: {Key: {FunctionArn: !GetAtt Guard.Arn}}}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {Rules: [{Days: !Ref Days, Mode: !Ref Mode, Name: !Ref Api}]}}
"""


@pytest.fixture
def template(tmp_path: Path) -> BuiltTemplate:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return BuiltTemplate(tmp_path / "template.yaml", {"Days": "30"})


def test_the_edge_runs_the_functions_of_the_api_and_its_authorizer_alone(template: BuiltTemplate) -> None:
    assert [function.logical_id for function in template.api_functions()] == ["Chat", "Guard"]


def test_a_function_has_the_shared_layers_before_its_own(template: BuiltTemplate, tmp_path: Path) -> None:
    chat, guard = template.api_functions()

    assert chat.code == tmp_path.resolve() / "Chat"
    assert chat.layers == (tmp_path.resolve() / "Core", tmp_path.resolve() / "Loop")
    assert guard.layers == (tmp_path.resolve() / "Core",)


def test_references_to_parameters_are_resolved_and_others_left(template: BuiltTemplate) -> None:
    ((_, bucket),) = template.resources("AWS::S3::Bucket")

    assert template.value(bucket) == {"Rules": [{"Days": "30", "Mode": "GOVERNANCE", "Name": {"Ref": "Api"}}]}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in INPUTS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if "." in name:
            path.write_text("first")
        else:
            path.mkdir()
            (path / "file").write_text("first")
    return tmp_path


def test_a_build_depends_on_every_input_on_the_processor_and_on_the_names_of_files(sources: Path) -> None:
    changes: list[Callable[[], object]] = [lambda: None]
    for name in INPUTS:
        path = sources / name if "." in name else sources / name / "file"
        changes.append(lambda path=path: path.write_text("second"))  # type: ignore[misc]
    changes.append(lambda: (sources / "functions" / "file").rename(sources / "functions" / "renamed"))
    seen = set()
    for change in changes:
        change()
        seen.add(inputs_digest(sources, {"Architecture": "arm64"}))
    seen.add(inputs_digest(sources, {"Architecture": "x86_64"}))

    assert len(seen) == len(changes) + 1


def test_bytecode_does_not_ask_for_a_build(sources: Path) -> None:
    before = inputs_digest(sources, {"Architecture": "arm64"})
    (sources / "functions" / "__pycache__").mkdir()
    (sources / "functions" / "__pycache__" / "a.pyc").write_bytes(b"x")

    assert inputs_digest(sources, {"Architecture": "arm64"}) == before


def test_an_input_that_does_not_exist_is_no_error(tmp_path: Path) -> None:
    assert inputs_digest(tmp_path, {"Architecture": "arm64"})


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "٣"])
def test_a_port_that_is_none_is_named_by_its_variable(value: str) -> None:
    with pytest.raises(LocalError, match="AWS_PORT must be a port number"):
        Settings.from_env({"AWS_PORT": value})


def test_settings_have_defaults_and_local_may_be_anywhere(tmp_path: Path) -> None:
    default = Settings.from_env({"PORT": ""})
    elsewhere = Settings.from_env({"LOCAL": str(tmp_path), "PORT": "1"})

    assert (default.port, default.aws_port, default.home) == (8080, 4566, ROOT / ".local")
    assert (elsewhere.port, elsewhere.home) == (1, tmp_path.resolve())


def test_no_aws_setting_of_the_user_reaches_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://elsewhere.example")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")

    environment = aws_environment(Settings.from_env({}))

    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB"} & environment.keys()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == "000000000000"
