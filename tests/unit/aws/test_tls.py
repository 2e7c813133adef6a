"""Encryption in transit: certificates are verified and nothing below TLS 1.2 is spoken; and what importing costs."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapi.aws import AwsClient, AwsUnavailable, Credentials
from chatapi.aws.transport import _tls
from tests.support.tls import write_certificate
from tests.unit.aws.stub import Reply, Stub, running


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    return write_certificate(tmp_path / "server.pem")


@pytest.fixture
def stub(certificate: str) -> Iterator[Stub]:
    stub = Stub()
    stub.use_tls(certificate)
    _tls.cache_clear()
    with running(stub):
        yield stub
    _tls.cache_clear()


def client(stub: Stub) -> AwsClient:
    return AwsClient("kms", region="r", endpoint=stub.url, credentials=lambda: Credentials("a", "b"), attempts=1)


def test_a_trusted_server_is_spoken_to(stub: Stub, certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    stub.reply(Reply(body=b'{"ok": 1}'), Reply(body=b'{"ok": 2}'))
    aws = client(stub)
    assert [aws.call("Decrypt", {}), aws.call("Decrypt", {})] == [{"ok": 1}, {"ok": 2}]
    assert len({request.port for request in stub.requests}) == 1
    aws.close()


def test_an_untrusted_server_gets_no_request(stub: Stub) -> None:
    with pytest.raises(AwsUnavailable):
        client(stub).call("Decrypt", {})
    assert stub.requests == []


def test_nothing_older_than_tls_1_2() -> None:
    context = _tls()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_importing_the_package_loads_no_tls_and_no_http() -> None:
    code = "import sys, chatapi.aws, chatapi.aws.av; print(*sys.modules)"
    path = [entry for entry in sys.path if entry]
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {path!r}; {code}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "chatapi.aws.client" in loaded
    heavy = {"ssl", "http.client", "email", "urllib.parse", "dataclasses", "typing", "inspect", "datetime", "random"}
    assert heavy.isdisjoint(loaded)
