"""A provider with an API key, on the real template: the operator sets it, the function reads and sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.main
import chatapi_cli.providers
from chatapi.aws.credentials import AmbientCredentials
from chatapi.aws.transport import _tls
from chatapi.catalogue import read_policy
from chatapi_cli.target import Target
from tests.support.deployed import InProcess
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.tls import write_certificate
from tests.support.transformed import REGION

CHAT = "/v1/chat/completions"
BODY = {"model": "keyed", "messages": [{"role": "user", "content": "Hi"}], "user": "end-user-7"}
OLD, NEW = "sk-canary-old", "sk-canary-new"


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedUpstream]:
    """A server that speaks TLS, and a model of the register that is there, under a key."""
    certificate = write_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    _tls.cache_clear()
    models, processors = read_policy("models")["models"], read_policy("processors")["processors"]
    with ScriptedUpstream(certificate=certificate) as upstream:
        monkeypatch.setitem(processors, "keyed-server", {**processors["local-model"], "secret": "keyed"})
        entry = {"provider": "openai", "base_url": upstream.base_url, "processor": "keyed-server", "upstream": "m-1"}
        monkeypatch.setitem(models, "keyed", {**models["smollm2-135m"], **entry, "extra": {}})
        yield upstream
    _tls.cache_clear()


def set_key(functions: InProcess, patch: pytest.MonkeyPatch, value: str, *words: str) -> Any:
    stack = functions.stack
    target = Target(REGION, "", stack.outputs, "123456789012", AmbientCredentials()(), stack.endpoint)
    patch.setattr(chatapi_cli.providers, "find", lambda _: target)
    return CliRunner().invoke(chatapi_cli.main.app, ["providers", *(words or ("key", "keyed-server"))], input=value)


def test_a_key_is_set_used_and_replaced(
    functions: InProcess,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, key = functions.project()
    # given a processor without a key: the operator has to act, and nothing went out
    status, headers, body = functions.run(key, "POST", CHAT, BODY)
    assert (status, json.loads(body)["error"]["code"]) == (503, "model_misconfigured")
    assert headers["x-should-retry"] == "false"
    assert headers["data-handling"] == "retained=none; processor=none; training=no"
    assert upstream.requests == []
    # when the operator sets one, then the warm function takes it up
    assert set_key(functions, monkeypatch, OLD + "\n").exit_code == 0
    status, headers, _ = functions.run(key, "POST", CHAT, BODY)
    assert (status, headers["data-handling"]) == (
        200,
        "retained=none; processor=keyed-server; region=local; training=no",
    )
    # and no-store and a pseudonym go along (MSG-1)
    (request,) = upstream.requests
    assert request.headers["authorization"] == f"Bearer {OLD}"
    assert (request.body["model"], request.body["store"]) == ("m-1", False)
    assert request.body["safety_identifier"].startswith("sub_")
    assert "end-user-7" not in json.dumps(request.body)
    # and when the provider does not take it any more, the next one is read, without a refusal in between
    assert set_key(functions, monkeypatch, NEW).exit_code == 0
    upstream.script(Script(status=401))
    assert functions.run(key, "POST", CHAT, BODY)[0] == 200
    assert [each.headers["authorization"] for each in upstream.requests[1:]] == [f"Bearer {OLD}", f"Bearer {NEW}"]
    # and the key is in no line that was logged
    told = capsys.readouterr()
    assert '"event":"provider_misconfigured"' in told.out
    assert "canary" not in told.out + told.err


def test_the_command_tells_who_has_a_key_and_never_which(
    functions: InProcess, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    del upstream
    assert set_key(functions, monkeypatch, NEW).exit_code == 0
    done = set_key(functions, monkeypatch, "", "list", "--json")
    told = {line["processor"]: line for line in json.loads(done.output)["data"]}
    assert told["keyed-server"]["key"] == "set"
    assert (told["local-model"]["key"], told["local-model"]["agreement"]) == ("none needed", "in force")
    assert told["keyed-server"]["models"] == ["keyed"]
    assert "canary" not in done.output
    assert set_key(functions, monkeypatch, "", "list").output.count("processor=") == len(told)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("key", "local-model"), "sk-1"),
        (("key", "unheard-of"), "sk-1"),
        (("key", "keyed-server"), ""),
        (("key", "keyed-server"), "two words"),
        (("key", "keyed-server"), "x" * 5000),
    ],
)
def test_what_is_no_key_is_refused(
    functions: InProcess,
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    value: str,
) -> None:
    del upstream
    assert set_key(functions, monkeypatch, value, *words).exit_code == 1
