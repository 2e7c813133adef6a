"""The two response formats of a Lambda proxy integration: buffered JSON, and a prelude before a streamed body."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from local.edge.events import HOP_BY_HOP

_DELIMITER = b"\0" * 8
_MAX_PRELUDE = 256 * 1024


class MalformedResponse(Exception):
    """The function's answer is not in the format of a proxy integration."""


@dataclass(frozen=True)
class Head:
    """Status and headers for the client."""

    status: int
    headers: list[tuple[str, str]]


def buffered_response(payload: bytes) -> tuple[Head, bytes]:
    """The response in a buffered function's JSON: ``statusCode, headers, multiValueHeaders, body, isBase64Encoded``."""
    answer = _object(payload)
    text = answer.get("body") or ""
    if not isinstance(text, str):
        raise MalformedResponse
    try:
        body = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
    except binascii.Error:
        raise MalformedResponse from None
    return _head(answer), body


async def streaming_head(chunks: AsyncIterator[bytes]) -> tuple[Head, bytes]:
    """The prelude of a streamed response, and the bytes of the body that came with it."""
    received = b""
    async for chunk in chunks:
        received += chunk
        prelude, delimiter, rest = received.partition(_DELIMITER)
        if delimiter:
            return _head(_object(prelude)), rest
        if len(received) > _MAX_PRELUDE:
            break
    raise MalformedResponse


def _object(payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload)
    except ValueError:
        raise MalformedResponse from None
    if not isinstance(answer, dict):
        raise MalformedResponse
    return answer


def _head(answer: dict[str, Any]) -> Head:
    try:
        status = int(answer["statusCode"])
        pairs = [(name, value) for name, value in (answer.get("headers") or {}).items()]
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            pairs = [pair for pair in pairs if pair[0].lower() != name.lower()] + [(name, value) for value in values]
        pairs += [("set-cookie", cookie) for cookie in answer.get("cookies") or ()]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise MalformedResponse from None
    headers = [
        (name, "true" if value is True else "false" if value is False else str(value))
        for name, value in pairs
        if name.lower() not in HOP_BY_HOP and name.lower() != "content-length"
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return Head(status, headers)
