"""The edge as a streaming front: each token at once, cuts that show, and functions that end whoever listens."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.support.edge_stack import Edge, SideChannel, running_edge

ALLOW = {"Authorization": "allow"}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running_edge(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture(scope="module")
def client(edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url, headers=ALLOW) as connected:
        yield connected


def wish(channel: SideChannel, tokens: int, **more: Any) -> dict[str, Any]:
    return {"port": channel.port, "tokens": tokens, **more}


def test_each_token_reaches_the_client_before_the_next_is_made(client: httpx.Client) -> None:
    # given: a function that makes token n+1 only when the client has token n
    with SideChannel() as channel:
        body = wish(channel, 200, status=202, cookies=["a=1", "b=2"])
        with client.stream("POST", "/stream", json=body) as response:
            assert response.status_code == 202
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
            received = []
            for chunk in response.iter_raw():
                received.append(chunk)
                channel.release()

        # then
        assert received == [b"data: %d\n\n" % number for number in range(200)]
        assert [channel.hear() for _ in range(3)] == ["started", "finished", "settled"]


def test_a_failure_before_the_first_byte_is_a_gateway_response(client: httpx.Client) -> None:
    response = client.post("/stream", json={"raise": True})

    assert response.status_code == 502
    assert response.json()["gateway"] == "DEFAULT_5XX"
    assert "secret" not in response.text


@pytest.mark.parametrize("then", ["raise", "exit"])
def test_a_failure_in_mid_stream_cuts_the_connection(client: httpx.Client, then: str) -> None:
    with SideChannel() as channel, client.stream("POST", "/stream", json=wish(channel, 1, then=then)) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 0\n\n"
        channel.release()

        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            next(chunks)

    # and the next request finds a worker
    with SideChannel() as channel:
        assert client.post("/stream", json=wish(channel, 0)).content == b""


def test_a_function_goes_on_after_its_client_has_left(edge: Edge) -> None:
    with SideChannel() as channel:
        body = json.dumps(wish(channel, 50)).encode()
        with socket.create_connection(edge.address) as raw, raw.makefile("rb") as answer:
            raw.sendall(b"POST /stream HTTP/1.1\r\nHost: h\r\nAuthorization: allow\r\n")
            raw.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            while answer.readline() != b"data: 0\n":
                pass
        # when: the client is gone and the function is free to go on
        channel.release(50)

        # then: it made every token and settled
        assert [channel.hear() for _ in range(3)] == ["started", "finished", "settled"]
    with SideChannel() as channel, httpx.Client(base_url=edge.url, headers=ALLOW) as client:
        assert client.post("/stream", json=wish(channel, 0)).status_code == 200


def test_an_integration_timeout_cuts_the_client_and_not_the_function(client: httpx.Client) -> None:
    with SideChannel() as channel, client.stream("POST", "/stream/impatient", json=wish(channel, 2)) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 0\n\n"

        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)

        channel.release(2)
        assert [channel.hear() for _ in range(3)] == ["started", "finished", "settled"]


def test_a_streaming_function_behind_a_buffered_integration_is_malformed(client: httpx.Client) -> None:
    with SideChannel() as channel:
        assert client.post("/stream/buffered", json=wish(channel, 0)).status_code == 502


def test_requests_at_the_same_time_have_a_process_each(client: httpx.Client) -> None:
    # given: eight streams, none of which ends before all have begun
    with ExitStack() as stack:
        channels = [stack.enter_context(SideChannel()) for _ in range(8)]

        def run(channel: SideChannel) -> tuple[str, bytes]:
            response = client.post("/stream", json=wish(channel, 3), timeout=20)
            return response.headers["x-pid"], response.content

        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(run, channel) for channel in channels]
            assert [channel.hear() for channel in channels] == ["started"] * 8
            for channel in channels:
                channel.release(3)
            results = [future.result(timeout=20) for future in running]

    assert len({pid for pid, _ in results}) == 8
    assert {content for _, content in results} == {b"data: 0\n\ndata: 1\n\ndata: 2\n\n"}


def test_a_full_function_throttles_and_its_timeout_cuts_and_frees_it(client: httpx.Client) -> None:
    # given: the only worker of this function is busy, for longer than the function may run
    with SideChannel() as channel, client.stream("POST", "/single", json=wish(channel, 2)) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"data: 0\n\n"

        # then: API Gateway makes a 500 of Lambda's throttle
        throttled = client.post("/single", json={})
        assert (throttled.status_code, throttled.json()["gateway"]) == (500, "DEFAULT_5XX")

        # and the timeout kills the process, which shows as a cut
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
        assert [channel.hear(), channel.hear()] == ["started", ""]

    # and a new process takes its place
    with SideChannel() as channel:
        assert client.post("/single", json=wish(channel, 0)).status_code == 200
