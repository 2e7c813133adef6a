"""The way to a provider's server: its API key, what its refusals mean, where requests go and where they never go."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chat.providers.base import (
    Call,
    Finish,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderUnavailable,
    Text,
    Usage,
)
from chat.providers.server import ApiKey
from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.aws.transport import _tls
from tests.support.openai_server import at, fixed
from tests.support.scripted_answers import Script
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.tls import write_certificate
from tests.unit.aws.stub import Chunks, Reply, Stub

CALL = Call("m", ({"role": "user", "content": "canary-prompt"},), 50, user="sub_pseudonym", cache_key="sub_cache")
SECRET = "sk-canary-key"
NEWER = {"max_completion_tokens": 50}
WORDS = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAM = Chunks((WORDS,), headers={"content-type": "text/event-stream"})


class Vault:
    """A secret's store: `keys` are what it holds, one reading after the other; the last one stays."""

    def __init__(self, *keys: str | Exception) -> None:
        self._keys = list(keys)
        self.read: list[bool] = []
        self.known: bytes | None = None

    def __call__(self, fresh: bool) -> bytes:
        if self.known is None or fresh:
            self.read.append(fresh)
            told = self._keys.pop(0) if len(self._keys) > 1 else self._keys[0]
            if isinstance(told, Exception):
                raise told
            self.known = told.encode()
        return self.known


def sent(stub: Stub, header: str = "authorization") -> list[str | None]:
    return [request.headers.get(header) for request in stub.requests]


def refusal(status: int, code: str | None = None) -> Reply:
    return Reply(status, body=json.dumps({"error": {"message": "canary-prompt", "code": code}}).encode())


def raised(act: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        act()
    shown = "".join(traceback.format_exception(caught.value))
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"
    assert SECRET not in shown
    return caught.value


@pytest.mark.parametrize(
    ("dialect", "header", "value"),
    [
        ("openai", "authorization", f"Bearer {SECRET}"),
        ("vllm", "authorization", f"Bearer {SECRET}"),
        ("azure", "api-key", SECRET),
        ("azure-deployment", "api-key", SECRET),
    ],
)
def test_the_key_goes_where_the_provider_expects_it(stub: Stub, dialect: str, header: str, value: str) -> None:
    stub.reply(STREAM)
    list(at(stub.url, dialect, fixed(SECRET + "\n")).open(CALL, timeout=10))  # as an editor leaves it
    assert sent(stub, header) == [value]


def test_the_key_is_read_once_and_again_when_it_is_refused(stub: Stub) -> None:
    # given a provider that took the old key until somebody replaced it
    vault = Vault("old", "new")
    provider = at(stub.url, key=ApiKey(vault))
    stub.reply(STREAM, STREAM, refusal(401), STREAM, STREAM)
    # when it is asked before and after
    for _ in range(4):
        assert next(iter(provider.open(CALL, timeout=10))) == Text("a")
    # then the refused call was sent once more, with the new key, which stays
    assert sent(stub) == [f"Bearer {key}" for key in ("old", "old", "old", "new", "new")]
    assert vault.read == [False, True]


def test_a_wrong_key_is_for_the_operator_and_is_not_read_at_every_chat(stub: Stub) -> None:
    now = [0.0]
    vault = Vault(SECRET)
    provider = at(stub.url, key=ApiKey(vault, lambda: now[0]))
    stub.reply(*[refusal(401, "invalid_api_key")] * 4)
    for _ in range(3):
        assert isinstance(raised(lambda: provider.open(CALL, timeout=10)), ProviderMisconfigured)
    assert vault.read == [False, True]
    now[0] = 11.0
    raised(lambda: provider.open(CALL, timeout=10))
    assert vault.read == [False, True, True]
    assert len(stub.requests) == 4  # the same key is not sent again


@pytest.mark.parametrize(
    "key", ["", " ", "two words", "line\r\nx-header: 1", "ключ", AwsError("ResourceNotFoundException", 400)]
)
def test_without_a_key_that_can_be_sent_nothing_is_sent(stub: Stub, key: str | Exception) -> None:
    provider = at(stub.url, key=ApiKey(Vault(key)))
    assert isinstance(raised(lambda: provider.open(CALL, timeout=10)), ProviderMisconfigured)
    assert stub.requests == []


def test_a_secret_that_cannot_be_read_now_may_be_later(stub: Stub) -> None:
    failure = raised(lambda: at(stub.url, key=ApiKey(Vault(AwsUnavailable("Timeout")))).open(CALL, timeout=10))
    assert not isinstance(failure, ProviderMisconfigured)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        *[(refusal(status), ProviderMisconfigured) for status in (401, 402, 403, 404, 405, 410, 301, 307)],
        (refusal(429, "insufficient_quota"), ProviderMisconfigured),
        (Reply(200, body=b"<html>a log-in page</html>", headers={"content-type": "text/html"}), ProviderMisconfigured),
        *[(refusal(status), ProviderUnavailable) for status in (408, 409, 424, 429, 500, 503, 529)],
        (Reply(503, body=b"not JSON"), ProviderUnavailable),
        (Reply(500, body=b'{"error":{"message":"input (5001 tokens) is too large to process."}}'), ProviderRejected),
        *[(refusal(status), ProviderRejected) for status in (400, 413, 422)],
        (
            Reply(400, body=b'{"error":{"message":"/chat/completions: Invalid model name passed in model=m."}}'),
            ProviderMisconfigured,
        ),
        (Reply(400, body=b'{"error":{"message":"You said Invalid model name passed in model=m."}}'), ProviderRejected),
    ],
)
def test_what_a_refusal_means(stub: Stub, reply: Reply, kind: type[ProviderError]) -> None:
    stub.reply(reply)
    assert type(raised(lambda: at(stub.url, key=fixed(SECRET)).open(CALL, timeout=10))) is kind


def test_no_redirect_is_followed(stub: Stub) -> None:
    stub.reply(Reply(307, headers={"location": f"{stub.url}/elsewhere"}))
    raised(lambda: at(stub.url, key=fixed(SECRET)).open(CALL, timeout=10))
    assert len(stub.requests) == 1


def test_azure_is_asked_at_its_deployment_for_its_version(stub: Stub) -> None:
    stub.reply(STREAM)
    place = f"{stub.url}/openai/deployments/mine"
    list(at(place, "azure-deployment", fixed(SECRET), query="api-version=2024-10-21").open(CALL, timeout=10))
    assert stub.requests[0].path == "/openai/deployments/mine/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("dialect", "told"),
    [
        ("openai", {**NEWER, "safety_identifier": "sub_pseudonym", "prompt_cache_key": "sub_cache", "store": False}),
        ("azure", {**NEWER, "user": "sub_pseudonym", "prompt_cache_key": "sub_cache", "store": False}),
        ("azure-deployment", {"max_tokens": 50, "user": "sub_pseudonym"}),
        ("vllm", {"max_tokens": 50, "user": "sub_pseudonym", "cache_salt": "sub_cache"}),
        ("ollama", {"max_tokens": 50}),
        ("llama.cpp", {"max_tokens": 50, "user": "sub_pseudonym", "store": False}),
    ],
)
def test_each_kind_of_server_is_told_what_it_knows(
    upstream: ScriptedUpstream, dialect: str, told: dict[str, object]
) -> None:
    list(at(upstream.base_url, dialect).open(CALL, timeout=10))
    always = {"model", "messages", "stream", "stream_options"}
    assert {name: value for name, value in upstream.requests[0].body.items() if name not in always} == told


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def test_over_tls_a_trusted_server_is_asked_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = write_certificate(tmp_path / "server.pem")
    with ScriptedUpstream(certificate=certificate) as upstream:
        assert upstream.base_url.startswith("https://localhost:")
        provider = at(upstream.base_url, "openai", fixed(SECRET))
        _tls.cache_clear()
        try:
            # given nobody who vouches for it
            assert isinstance(raised(lambda: provider.open(CALL, timeout=10)), ProviderUnavailable)
            assert upstream.requests == []
            # and then somebody
            monkeypatch.setenv("SSL_CERT_FILE", certificate)
            _tls.cache_clear()
            upstream.script(Script(pieces=("one", "two")))
            assert list(provider.open(CALL, timeout=10)) == [Text("one"), Text("two"), Finish("stop"), Usage(3, 2)]
        finally:
            _tls.cache_clear()
        assert upstream.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_clear_text_is_for_this_machine() -> None:
    with pytest.raises(ValueError, match="https"):
        at("http://models.example.com/v1")
