"""Lambda REQUEST authorizers (AWS: "Use API Gateway Lambda authorizers")."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from local.edge.events import Request
from local.edge.functions import Function
from local.edge.invocation import FunctionFailed
from local.edge.responses import Kind
from local.edge.template import Authorizer


class Refused(Exception):
    """The request goes no further; ``context`` is what the authorizer said, for the gateway response."""

    def __init__(self, kind: Kind, context: Mapping[str, object] | None = None) -> None:
        super().__init__(kind.name)
        self.kind = kind
        self.context = context


async def authorize(
    authorizer: Authorizer, request: Request, functions: Mapping[str, Function]
) -> dict[str, str | int]:
    """Ask ``authorizer``; returns ``requestContext.authorizer`` for the backend, or raises Refused.

    A raised ``Exception("Unauthorized")`` is a 401, any other failure a 500, and an answer that is no policy a 500 of
    its own kind.
    """
    if authorizer.function is None or authorizer.function not in functions:
        raise Refused(Kind.AUTHORIZER_CONFIGURATION_ERROR)
    if not all(request.source(source) for source in authorizer.identity_sources):
        raise Refused(Kind.UNAUTHORIZED)
    started = time.perf_counter()
    event = json.dumps(request.authorizer_event(), ensure_ascii=False).encode()
    try:
        payload = await functions[authorizer.function].invoke(event, request.trace_id).read()
    except FunctionFailed as failure:
        unauthorized = failure.error_message == "Unauthorized"
        raise Refused(Kind.UNAUTHORIZED if unauthorized else Kind.AUTHORIZER_FAILURE) from None
    try:
        answer = json.loads(payload)
        context: dict[str, str | int] = {name: _flat(value) for name, value in (answer.get("context") or {}).items()}
        context["principalId"] = str(answer["principalId"])
        allowed = _allows(answer["policyDocument"]["Statement"], request.method_arn)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(Kind.AUTHORIZER_CONFIGURATION_ERROR) from None
    if not allowed:
        raise Refused(Kind.ACCESS_DENIED, context)
    context["integrationLatency"] = int((time.perf_counter() - started) * 1000)
    return context


def _flat(value: Any) -> str:
    """Context values are strings, numbers or booleans, and arrive as strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError


def _allows(statements: Any, method_arn: str) -> bool:
    """IAM's rule: an explicit Deny wins, and without an Allow the answer is no."""
    effects = {
        statement["Effect"]
        for statement in (statements if isinstance(statements, list) else [statements])
        if _matches(statement["Action"], "execute-api:Invoke") and _matches(statement["Resource"], method_arn)
    }
    return "Allow" in effects and "Deny" not in effects


def _matches(patterns: Any, text: str) -> bool:
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL):
            return True
    return False
