"""The streaming runtime, started as Lambda starts it, against a Runtime API of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge_stack import SideChannel
from tests.support.runtime_api import DEADLINE_MS, Post, RuntimeApi, start_runtime

HANDLERS = """
import json, os
import chatapi_runtime
from chatapi_runtime import Context, Response

order = []

@chatapi_runtime.after_restore
def restored():
    order.append("restored")
    if os.environ.get("BREAK_RESTORE"):
        raise RuntimeError("a secret of the hook")

def facts(event: dict, context: Context) -> Response:
    seen = {
        "trace": os.environ.get("_X_AMZN_TRACE_ID"), "id": context.aws_request_id, "arn": context.invoked_function_arn,
        "name": context.function_name, "memory": context.memory_limit_in_mb, "deadline": context.deadline_ms,
        "remaining": context.get_remaining_time_in_millis(), "event": event, "order": order, "pid": os.getpid(),
    }
    return Response(200, {}, iter([json.dumps(seen).encode()]))

class Body:
    def __init__(self, items): self.items = iter(items)
    def __iter__(self): return self
    def __next__(self): return next(self.items)
    def close(self): order.append("closed")

def odd(event, context):
    match event["case"]:
        case "not a response": return {"statusCode": 200}
        case "empty chunks": return Response(200, {}, iter([b"", b"a", b"", b"b", b""]))
        case "text chunk": return Response(200, {}, Body([b"a", "a secret of the request"]))
        case "bad status": return Response(200, {"x": object()}, Body([]))
        case "order": return Response(200, {}, iter([json.dumps(order).encode()]))
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    shutil.copy(Path(__file__).parents[1] / "support/edge_handlers.py", tmp_path)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text("raise RuntimeError('a secret of the module')")
    return tmp_path


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as running:
        yield running


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str]) -> str:
    """End the runtime and return what it wrote to its log."""
    process.terminate()
    return process.communicate(timeout=10)[1]


def split(post: Post) -> tuple[dict[str, Any], bytes]:
    prelude, _, body = post.body.partition(b"\0" * 8)
    return json.loads(prelude), body


def wish(channel: SideChannel, **more: Any) -> dict[str, Any]:
    return {"body": json.dumps({"port": channel.port, "tokens": 20, **more})}


def test_each_chunk_arrives_before_the_next_is_produced(code: Path, processes: list[subprocess.Popen[str]]) -> None:
    # given: a generator that goes on only when the Runtime API has received what it yielded
    with SideChannel() as channel:

        def acknowledge(chunk: bytes) -> bool:
            if chunk.startswith(b"data:"):
                channel.release()
            return True

        with RuntimeApi(acknowledge) as api:
            processes.append(start_runtime(api, code, "edge_handlers.stream"))
            # when
            request_id = api.invoke(wish(channel, status=201, cookies=["a=1"]))
            post = api.posted()

    # then: the contract of a streamed proxy response
    assert (post.method, post.path) == ("POST", f"/invocation/{request_id}/response")
    assert post.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert post.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert post.headers["transfer-encoding"] == "chunked"
    prelude, _ = split(post)
    assert prelude["statusCode"] == 201
    assert prelude["headers"]["content-type"] == "text/event-stream"
    assert prelude["cookies"] == ["a=1"]
    assert post.chunks[1:] == [b"data: %d\n\n" % number for number in range(20)]
    assert post.trailers == {}
    assert [channel.hear() for _ in range(3)] == ["started", "finished", "settled"]


def test_a_failure_before_the_response_is_an_invocation_error(
    code: Path, api: RuntimeApi, processes: list[subprocess.Popen[str]]
) -> None:
    processes.append(start_runtime(api, code, "edge_handlers.stream"))
    request_id = api.invoke({"body": json.dumps({"raise": True})})

    post = api.posted()

    assert post.path == f"/invocation/{request_id}/error"
    assert post.headers["lambda-runtime-function-error-type"] == "RuntimeError"
    answer = json.loads(post.body)
    assert answer == {"errorMessage": "The handler failed.", "errorType": "RuntimeError", "stackTrace": []}
    # and the log names type and place, and not the text
    log = stop(processes[0])
    assert "RuntimeError" in log
    assert "edge_handlers.py:" in log
    assert "secret" not in log


def test_a_failure_in_mid_stream_is_told_in_the_trailers(code: Path, processes: list[subprocess.Popen[str]]) -> None:
    with SideChannel() as channel, RuntimeApi() as api:
        processes.append(start_runtime(api, code, "edge_handlers.stream"))
        api.invoke(wish(channel, tokens=1, then="raise"))
        channel.release()

        post = api.posted()

        assert split(post)[1] == b"data: 0\n\n"
        assert "lambda-runtime-function-error-type" in post.headers["trailer"].lower()
        assert post.trailers["lambda-runtime-function-error-type"] == "RuntimeError"
        error = json.loads(base64.b64decode(post.trailers["lambda-runtime-function-error-body"]))
        assert error == {"errorMessage": "The response ended early.", "errorType": "RuntimeError", "stackTrace": []}
        assert [channel.hear() for _ in range(3)] == ["started", "finished", "settled"]
        assert "secret" not in stop(processes[0])


def test_a_broken_connection_closes_the_body_and_the_loop_goes_on(
    code: Path, processes: list[subprocess.Popen[str]]
) -> None:
    # given: a Runtime API that goes away after the second token
    seen: list[bytes] = []

    def cut(chunk: bytes) -> bool:
        seen.append(chunk)
        return chunk != b"data: 1\n\n"

    with RuntimeApi(cut) as api:
        with SideChannel() as channel:
            processes.append(start_runtime(api, code, "edge_handlers.stream"))
            api.invoke(wish(channel, tokens=1000))
            channel.release(1)
            api.posted()
            channel.release(999)
            # then: `finally` ran, long before the thousandth token could have been sent
            assert [channel.hear(), channel.hear()] == ["started", "settled"]
            assert len(seen) == 3
        # and the next invocation is served by the same process
        api.on_chunk = lambda _chunk: True
        with SideChannel() as channel:
            api.invoke(wish(channel, tokens=1))
            channel.release()
            assert split(api.posted())[1] == b"data: 0\n\n"
        assert processes[0].poll() is None


@pytest.mark.parametrize(
    ("case", "where", "error_type"),
    [
        ("not a response", "error", "AttributeError"),
        ("bad status", "error", "TypeError"),
        ("text chunk", "trailer", "TypeError"),
    ],
)
def test_what_is_no_response_fails_and_its_body_is_closed(
    code: Path, api: RuntimeApi, processes: list[subprocess.Popen[str]], case: str, where: str, error_type: str
) -> None:
    processes.append(start_runtime(api, code, "handlers.odd"))
    api.invoke({"case": case})

    post = api.posted()

    reported = post.headers if where == "error" else post.trailers
    assert post.path.endswith("/error" if where == "error" else "/response")
    assert reported["lambda-runtime-function-error-type"] == error_type
    api.invoke({"case": "order"})
    closed = json.loads(split(api.posted())[1])
    assert closed == ([] if case == "not a response" else ["closed"])
    assert "secret" not in stop(processes[0])


def test_an_empty_chunk_does_not_end_the_body(
    code: Path, api: RuntimeApi, processes: list[subprocess.Popen[str]]
) -> None:
    processes.append(start_runtime(api, code, "handlers.odd"))
    api.invoke({"case": "empty chunks"})

    assert api.posted().chunks[1:] == [b"a", b"b"]


@pytest.mark.parametrize("keep_alive", [True, False])
def test_context_and_trace_id_belong_to_each_invocation(
    code: Path, processes: list[subprocess.Popen[str]], keep_alive: bool
) -> None:
    with RuntimeApi(keep_alive=keep_alive) as api:
        processes.append(start_runtime(api, code, "handlers/facts".replace("/", ".")))
        ids = [api.invoke({"n": 1}, Lambda_Runtime_Trace_Id="Root=1-a"), api.invoke({"n": 2})]
        first, second = (json.loads(split(api.posted())[1]) for _ in ids)

        assert [first["id"], second["id"]] == ids
        assert [first["trace"], second["trace"]] == ["Root=1-a", None]
        assert first["event"] == {"n": 1}
        assert first["arn"].endswith(":function:f")
        assert (first["name"], first["memory"], first["deadline"]) == ("f", "256", DEADLINE_MS)
        assert first["remaining"] > 0
        assert first["pid"] == second["pid"]
        assert (api.connections == 1) is keep_alive


@pytest.mark.parametrize("handler", ["broken.handler", "absent.handler", "handlers.absent", "handler"])
def test_a_handler_that_cannot_be_loaded_is_an_init_error(code: Path, api: RuntimeApi, handler: str) -> None:
    process = start_runtime(api, code, handler)

    post = api.posted()
    _, log = process.communicate(timeout=10)

    assert post.path == "/init/error"
    assert json.loads(post.body)["errorMessage"] == "The handler could not be loaded."
    assert post.headers["lambda-runtime-function-error-type"] == json.loads(post.body)["errorType"]
    assert process.returncode == 1
    assert "secret" not in log


def test_snapstart_restores_before_the_first_invocation(
    code: Path, api: RuntimeApi, processes: list[subprocess.Popen[str]]
) -> None:
    processes.append(start_runtime(api, code, "handlers.facts", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"))
    api.invoke({})

    restore, answer = api.posted(), api.posted()

    assert (restore.method, restore.path) == ("GET", "/restore/next")
    assert json.loads(split(answer)[1])["order"] == ["restored"]


def test_a_failing_restore_hook_is_a_restore_error(code: Path, api: RuntimeApi) -> None:
    process = start_runtime(
        api, code, "handlers.facts", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", BREAK_RESTORE="yes"
    )

    assert api.posted().path == "/restore/next"
    post = api.posted()
    _, log = process.communicate(timeout=10)

    assert post.path == "/restore/error"
    assert json.loads(post.body)["errorType"] == "RuntimeError"
    assert process.returncode == 1
    assert "secret" not in log


def test_without_a_sandbox_the_process_ends(code: Path, api: RuntimeApi) -> None:
    process = start_runtime(api, code, "handlers.facts")
    api.invoke({})
    api.posted()

    api.close()

    process.communicate(timeout=10)
    assert process.returncode == 1
