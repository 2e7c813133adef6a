"""An address that somebody else chose leads to that somebody's public server, or nowhere."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from chatapi.outbound import BadUrl, NotReached, Outbound, is_public, place_of

NAME = "hooks.example.org"
CONNECT = socket.create_connection


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.org/",
        "ftp://example.org/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
        "https://example/",
        "https://user:password@example.org/",
        "https://example.org@evil.test/",
        "https://example.org:22/",
        "https://example.org:99999/",
        "https://example.org/#fragment",
        "https://example.org\\@evil.test/",
        "https://exa mple.org/",
        "https://example.org/\r\nX: y",
        "https://ex\u00e4mple.org/",
        "https://example.org./",
        "https://-a.example.org/",
        "https://example.123/",
        "https://" + "a" * 64 + ".org/",
        "https://example.org/" + "a" * 3000,
        "http://127.0.0.1:8080/",
    ],
)
def test_what_is_not_https_to_a_public_name_is_refused_in_its_form(url: str) -> None:
    with pytest.raises(BadUrl):
        place_of(url)


def test_only_the_stack_on_one_machine_may_call_this_machine() -> None:
    assert place_of("http://127.0.0.1:8080/x?y=1", loopback=True).target == "/x?y=1"
    for url in ("http://127.0.0.1/", "http://10.0.0.1:80/", "http://example.org:80/", "http://169.254.169.254:80/"):
        with pytest.raises(BadUrl):
            place_of(url, loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1",
        "2001:db8::1", "fe80::1%eth0", "not an address", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


def test_public_addresses() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert is_public("::ffff:93.184.215.14")


@given(st.integers(0, 2**32 - 1))
def test_an_address_is_judged_alike_in_both_families(number: int) -> None:
    plain = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert is_public(plain) == is_public(f"::ffff:{plain}")


@pytest.mark.parametrize("found", [[], ["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["93.184.215.14"] * 17])
def test_one_address_that_is_not_public_spoils_all(found: list[str]) -> None:
    outbound = Outbound(resolve=lambda host, port: found)
    with pytest.raises(NotReached) as refused:
        outbound.post(f"https://{NAME}/", {}, b"")
    assert refused.value.reason == "address"


def test_a_name_that_does_not_resolve() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name: " + host)

    with pytest.raises(NotReached) as refused:
        Outbound(resolve=fail).post(f"https://{NAME}/secret", {}, b"")
    assert (refused.value.reason, "secret" in str(refused.value)) == ("dns", False)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "\x00", "ü"])
def test_a_header_cannot_break_out(value: str) -> None:
    with pytest.raises(ValueError):
        Outbound(loopback=True).post("http://127.0.0.1:9/", {"X": value}, b"")


class Receiver:
    """A TLS server that answers each connection with fixed bytes and keeps what it was sent."""

    def __init__(self, home: Path, answer: bytes) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
            .sign(key, SHA256())
        )
        self.pem = home / "cert.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.pem.write_bytes(made.public_bytes(Encoding.PEM) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.answer, self.seen = answer, b""
        self._context = context
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            with plain:
                try:
                    with self._context.wrap_socket(plain, server_side=True) as secure:
                        self.seen += secure.recv(65536)
                        secure.sendall(self.answer)
                        if not self.answer:
                            self._done.wait(10)
                except (OSError, ssl.SSLError):
                    continue

    def close(self) -> None:
        self._done.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[list[Receiver]]:
    made: list[Receiver] = []
    yield made
    for one in made:
        one.close()


def outbound_to(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, *, trust: bool = True) -> Outbound:
    """The port of production is 443: here the receiver stands behind it."""

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address == ("127.0.0.1", 443)  # the resolved address itself: nothing is looked up a second time
        return CONNECT(("127.0.0.1", receiver.port), timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    tls = ssl.create_default_context(cafile=str(receiver.pem)) if trust else ssl.create_default_context()
    resolve = lambda host, port: ["127.0.0.1"]  # noqa: E731
    return Outbound(resolve=resolve, permitted=lambda address: True, tls=tls, timeout=1.0)


def test_a_post_reaches_the_name_over_tls(
    tmp_path: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(tmp_path, b"HTTP/1.1 202 Accepted\r\n\r\n")
    receivers.append(receiver)
    status = outbound_to(receiver, monkeypatch).post(f"https://{NAME}/a?b=c", {"X-Id": "1"}, b"{}")
    assert status == 202
    assert receiver.seen.startswith(b"POST /a?b=c HTTP/1.1\r\nX-Id: 1\r\nHost: hooks.example.org\r\n")
    assert receiver.seen.endswith(b"\r\n\r\n{}")


def test_a_redirect_is_an_answer_and_is_not_followed(
    tmp_path: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(tmp_path, b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n")
    receivers.append(receiver)
    assert outbound_to(receiver, monkeypatch).post(f"https://{NAME}/", {}, b"") == 302
    assert receiver.seen.count(b"POST") == 1


@pytest.mark.parametrize(("answer", "reason"), [(b"SSH-2.0-x\r\n", "answer"), (b"x" * 600, "answer"), (b"", "timeout")])
def test_what_does_not_answer_in_http_or_in_time_was_not_reached(
    tmp_path: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    receiver = Receiver(tmp_path, answer)
    receivers.append(receiver)
    with pytest.raises(NotReached) as refused:
        outbound_to(receiver, monkeypatch).post(f"https://{NAME}/", {}, b"")
    assert refused.value.reason == reason


def test_a_certificate_that_nobody_trusts_or_of_another_name(
    tmp_path: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n")
    receivers.append(receiver)
    for outbound, host in (
        (outbound_to(receiver, monkeypatch, trust=False), NAME),
        (outbound_to(receiver, monkeypatch), "other.example.org"),
    ):
        with pytest.raises(NotReached) as refused:
            outbound.post(f"https://{host}/", {}, b"secret")
        assert refused.value.reason == "tls"
    assert b"secret" not in receiver.seen


def test_a_body_is_bounded() -> None:
    with pytest.raises(ValueError):
        Outbound(loopback=True).post("http://127.0.0.1:9/", {}, b"x" * 70_000)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotReached) as refused:
        Outbound(loopback=True).post(f"http://127.0.0.1:{port}/", {}, b"")
    assert refused.value.reason == "connect"
