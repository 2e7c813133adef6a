"""The loop: import the handler, restore, then one invocation after the other.

What it writes to the log is the type of an exception and where it was raised, never its text or a value: those may
hold what a user sent. A runtime must outlive whatever the function raises, hence the blind excepts.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import NoReturn, cast

from chatapi_runtime.client import RuntimeClient, TransportError
from chatapi_runtime.contract import Context, Handler, Response, restore_hooks


def main(environ: Mapping[str, str] = os.environ) -> NoReturn:
    """Run the function that ``_HANDLER`` names until the sandbox ends; exits non-zero when it cannot start."""
    # A process that is frozen between invocations keeps what it has not written yet.
    cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)
    client = RuntimeClient(environ["AWS_LAMBDA_RUNTIME_API"])
    handler = _init(client, environ.get("_HANDLER", ""))
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        _restore(client)
    while True:
        try:
            headers, event = client.next_invocation()
        except TransportError as error:
            _log("runtime_api_lost", error)
            sys.exit(1)
        _set_trace_id(headers.get("lambda-runtime-trace-id"))
        context = Context(
            aws_request_id=headers.get("lambda-runtime-aws-request-id", ""),
            deadline_ms=int(headers.get("lambda-runtime-deadline-ms") or 0),
            invoked_function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
        )
        try:
            _invoke(client, handler, event, context)
        except TransportError as error:
            _log("response_lost", error, context.aws_request_id)
            client.close()


def _invoke(client: RuntimeClient, handler: Handler, event: bytes, context: Context) -> None:
    request_id = context.aws_request_id
    response: Response | None = None
    try:
        try:
            response = handler(json.loads(event), context)
            prelude, body = response.prelude(), iter(response.body)
        except Exception as error:  # noqa: BLE001
            error_type = _log("handler_failed", error, request_id)
            client.post_error(f"/invocation/{request_id}/error", error_type, "The handler failed.")
            return
        client.stream(request_id, prelude, body, lambda error: _log("stream_failed", error, request_id))
    finally:
        _close(response, request_id)


def _close(response: object, request_id: str) -> None:
    close = getattr(getattr(response, "body", None), "close", None)
    try:
        if close is not None:
            close()
    except Exception as error:  # noqa: BLE001
        _log("close_failed", error, request_id)


def _init(client: RuntimeClient, name: str) -> Handler:
    try:
        return load(name)
    except Exception as error:  # noqa: BLE001
        _fail(client, "/init/error", "init_failed", error, "The handler could not be loaded.")


def load(name: str) -> Handler:
    """Import the handler ``package.module.function``."""
    module, _, function = name.rpartition(".")
    # What an import makes stays: looking for garbage in it, as it grows and with each full collection afterwards, finds
    # none and takes its time.
    gc.disable()
    try:
        return cast(Handler, getattr(importlib.import_module(module.replace("/", ".")), function))
    finally:
        gc.freeze()
        gc.enable()


def _restore(client: RuntimeClient) -> None:
    try:
        client.wait_for_restore()
    except TransportError as error:
        _fail(client, "/init/error", "snapshot_failed", error, "The snapshot could not be taken.")
    try:
        for hook in restore_hooks:
            hook()
    except Exception as error:  # noqa: BLE001
        _fail(client, "/restore/error", "restore_failed", error, "A restore hook failed.")


def _fail(client: RuntimeClient, path: str, event: str, error: Exception, message: str) -> NoReturn:
    error_type = _log(event, error)
    try:
        client.post_error(path, error_type, message)
    except TransportError as lost:
        _log("runtime_api_lost", lost)
    sys.exit(1)


def _set_trace_id(trace_id: str | None) -> None:
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def _log(event: str, error: Exception, request_id: str = "") -> str:
    """Write one line about ``error`` and return the name of its type."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    error_type = type(error).__name__
    line = {"level": "ERROR", "event": event, "type": error_type, "request_id": request_id, "frames": frames}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
    return error_type
