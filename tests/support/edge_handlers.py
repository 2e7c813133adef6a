"""The functions behind the edge in its own tests: they run as Lambda would run them, in processes of their own."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any


def authorize(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer as the Authorization header says; the event comes back in the context."""
    headers = {name.lower(): value for name, value in event["headers"].items()}
    outcome = headers["authorization"]
    if outcome == "unauthorized":
        raise Exception("Unauthorized")
    if outcome == "fault":
        raise RuntimeError("a secret of the request")
    if outcome == "nonsense":
        return {"principalId": "p"}
    effect = "Deny" if outcome == "deny" else "Allow"
    resource = event["methodArn"] if outcome != "elsewhere" else event["methodArn"] + "/other"
    statements = [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}]
    if outcome == "both":
        statements.append({"Action": ["execute-api:*"], "Effect": "Deny", "Resource": ["arn:aws:execute-api:*"]})
    context = {"message": "slow down", "retry_after": 7, "flag": True, "event": json.dumps(event)}
    return {"principalId": "p", "policyDocument": {"Statement": statements}, "context": context}


def echo(event: dict[str, Any], context: Any) -> Any:
    """Return the event, or do what ``?do=`` says."""
    match (event["queryStringParameters"] or {}).get("do"):
        case "crash":
            os._exit(1)
        case "sleep":
            time.sleep(60)
        case "raise":
            raise RuntimeError("a secret of the request")
        case "malformed":
            return "text"
        case "dict":
            return {"statusCode": 200, "body": {"not": "text"}}
        case "binary":
            return {"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True}
        case "headers":
            return {
                "statusCode": 201,
                "headers": {"x-one": "1", "X-Two": "replaced", "connection": "close", "Content-Length": "999"},
                "multiValueHeaders": {"x-two": ["2", "two"]},
            }
        case "bad-header":
            return {"statusCode": 200, "headers": {"x-bad": "a\r\nb: c"}, "body": ""}
        case "process":
            seen = {"env": dict(os.environ), "path": sys.path, "cwd": os.getcwd(), "pid": os.getpid()}
            seen |= {"remaining": context.get_remaining_time_in_millis(), "arn": context.invoked_function_arn}
            return {"statusCode": 200, "body": json.dumps(seen)}
    return {"statusCode": 200, "body": json.dumps(event)}


def stream(event: dict[str, Any], _context: object) -> Any:
    """Stream tokens, each released by a byte on a side channel; what becomes of the generator is said there too."""
    from chatapi_runtime import Response

    wish = json.loads(event["body"])
    if wish.get("raise"):
        raise RuntimeError("a secret of the request")
    headers = {"content-type": "text/event-stream", "x-pid": str(os.getpid())}
    return Response(wish.get("status", 200), headers, _tokens(wish), tuple(wish.get("cookies", ())))


def _tokens(wish: dict[str, Any]) -> Iterator[bytes]:
    with socket.create_connection(("127.0.0.1", wish["port"])) as channel:
        try:
            channel.sendall(b"started\n")
            for number in range(wish["tokens"]):
                yield b"data: %d\n\n" % number
                if not channel.recv(1):
                    return
            channel.sendall(b"finished\n")
            if wish.get("then") == "raise":
                raise RuntimeError("a secret of the request")
            if wish.get("then") == "exit":
                os._exit(1)
        finally:
            channel.sendall(b"settled\n")
