"""`chatapi verify`: a file, and a key set from a file or from a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chatapi_cli.verify import verify_file
from tests.unit.privacy.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.store()
    return world


@pytest.fixture
def issued(world: World, tmp_path: Path) -> Path:
    case = world.case()
    world.erase(case)
    file = tmp_path / "certificate.json"
    file.write_bytes(world.again(case).get("certificate"))
    return file


@pytest.fixture
def jwks(world: World, tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [world.signer.jwk()]}))
    return file


@pytest.fixture
def served(jwks: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", "/.well-known/jwks.json")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks.read_bytes())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
        server.shutdown()
        thread.join()


def test_a_file_against_a_file(issued: Path, jwks: Path) -> None:
    assert verify_file(issued, str(jwks)) == []


def test_a_file_against_a_server(issued: Path, served: str) -> None:
    assert verify_file(issued, served) == []


def test_a_key_set_that_moved_is_not_followed(issued: Path, served: str) -> None:
    assert verify_file(issued, served.replace("/.well-known/jwks.json", "/moved")) == ["the key set cannot be read"]


def test_a_changed_file(issued: Path, jwks: Path) -> None:
    issued.write_text(issued.read_text().replace('"count":3', '"count":4'))
    assert verify_file(issued, str(jwks)) == [
        "the payload is not what was signed",
        "the ledger's proof does not hold",
    ]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b"[" * 100_000, b'{"a":"' + b"x" * (1 << 20) + b'"}'])
def test_what_is_no_certificate_and_what_is_no_key_set(
    issued: Path, jwks: Path, tmp_path: Path, content: bytes
) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(content)
    assert verify_file(other, str(jwks)) == ["the file is not a certificate"]
    assert verify_file(issued, str(other)) == ["the key set cannot be read"]


@pytest.mark.parametrize(
    "url", ["http://example.com/jwks.json", "file:///etc/passwd", "https://[", "http://127.0.0.1:1/"]
)
def test_key_sets_come_over_tls_or_from_this_machine(issued: Path, url: str) -> None:
    assert verify_file(issued, url) == ["the key set cannot be read"]


def test_missing_files(issued: Path, jwks: Path, tmp_path: Path) -> None:
    assert verify_file(tmp_path / "none", str(jwks)) == ["the file is not a certificate"]
    assert verify_file(issued, str(tmp_path / "none")) == ["the key set cannot be read"]
