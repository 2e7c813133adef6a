"""A busy port gives one line that names the port and the variable to change."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from local.errors import Refused
from local.ports import answers, free_port, require_free
from local.settings import HOST


@pytest.mark.parametrize("address", [HOST, "0.0.0.0"])
def test_a_port_that_someone_listens_on_is_refused(address: str) -> None:
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(Refused) as refused:
            require_free(port, "AWS_PORT")

    assert str(refused.value) == f"port {port} is in use; choose another with AWS_PORT=NUMBER"
    assert refused.value.exit_code == 3


def test_a_free_port_is_accepted_and_stays_free() -> None:
    port = free_port()

    require_free(port, "PORT")

    with socket.create_server((HOST, port)):
        pass


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_only_a_200_is_an_answer() -> None:
    server = HTTPServer((HOST, 0), Answer)
    port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert answers(port, "/health")
        assert not answers(port, "/loading")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not answers(port, "/health")
