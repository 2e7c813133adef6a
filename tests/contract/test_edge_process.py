"""The edge as a process: it says when it is ready, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.edge_stack import Edge, SideChannel, free_port, start_edge, write_config

ALLOW = {"Authorization": "allow"}


def start(directory: Path, stack: ExitStack) -> Edge:
    process = stack.enter_context(start_edge(write_config(directory, free_port())))
    stack.callback(process.kill)
    assert process.stdout
    return Edge(process.stdout.readline().split()[-1], process, directory / "logs")


def wait_until_gone(pid: int) -> None:
    """A process that nobody has reaped yet counts as gone."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)
        if listed.stdout.strip()[:1] in ("", "Z"):
            return
        time.sleep(0.02)
    pytest.fail("a worker outlived its edge")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_edge(tmp_path: Path, number: signal.Signals) -> None:
    with ExitStack() as stack:
        edge = start(tmp_path, stack)
        client = stack.enter_context(httpx.Client(base_url=edge.url, headers=ALLOW))
        channel = stack.enter_context(SideChannel())
        # given: an idle worker, and one in mid-stream
        idle = client.get("/open", params={"do": "process"}).json()["pid"]
        body = {"port": channel.port, "tokens": 1000}
        response = stack.enter_context(client.stream("POST", "/stream", json=body))
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 0\n\n"
        assert channel.hear() == "started"

        # when
        edge.process.send_signal(number)
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
        # then: told to stop, the stream settles; killed, the worker goes with its edge, even one that waits for
        # something else (on Linux, by the kernel; elsewhere, as soon as it turns to its Runtime API)
        killed_with_it = number == signal.SIGKILL and sys.platform == "linux"
        if not killed_with_it:
            channel.release(1000)
        assert channel.hear() == ("" if killed_with_it else "settled")
        edge.process.wait(timeout=10)
        assert edge.process.returncode == (-9 if number == signal.SIGKILL else 0)
        for pid in (idle, int(response.headers["x-pid"])):
            wait_until_gone(pid)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(edge.address)
        if number != signal.SIGKILL:
            assert edge.process.stderr
            assert edge.process.stderr.read() == ""


def test_two_apis_need_two_ports(tmp_path: Path) -> None:
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": {"paths": {}}}}
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"Resources": {"Api": api, "AdminApi": api}}))
    config = write_config(tmp_path, free_port(), template=str(template))

    with start_edge(config) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.endswith("of: Api, AdminApi\n")

    ports = {"Api": free_port(), "AdminApi": free_port()}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"apis": ports}))
    with start_edge(config) as process:
        assert process.stdout
        ready = {process.stdout.readline().strip() for _ in ports}
        process.terminate()
    assert ready == {f"edge ready http://127.0.0.1:{port}" for port in ports.values()}
    assert process.returncode == 0


def test_a_busy_port_is_one_clear_line_and_exit_code_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start_edge(write_config(tmp_path, port)) as process:
            output, errors = process.communicate(timeout=20)

    assert (process.returncode, output) == (3, "")
    assert errors == f"edge: port {port} on 127.0.0.1 is taken\n"
