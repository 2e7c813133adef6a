"""The events that API Gateway builds (AWS: "Lambda proxy integrations in API Gateway", "Input to an API Gateway
Lambda authorizer")."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from local.edge.template import Route

_HOP_BY_HOP = "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect"
HOP_BY_HOP = frozenset(_HOP_BY_HOP.split())
"""RFC 9110, 7.6.1: of one connection, never passed on (and ``expect``, which the edge itself answers)."""


@dataclass(frozen=True)
class Request:
    """What the gateway knows of a request once a route is found. `prefix` stood before `target`: the stage, if any."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    source_ip: str
    route: Route
    parameters: Mapping[str, str]
    api_id: str
    stage: str
    account_id: str
    region: str
    port: int
    prefix: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = field(default_factory=lambda: f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    received: float = field(default_factory=time.time)

    @property
    def path(self) -> str:
        """The path without the stage and the query, as the client wrote it."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded query parameters in their order."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """The last value of a header, by its name in any case."""
        return next((value for key, value in reversed(self.headers) if key.lower() == name.lower()), None)

    def source(self, expression: str) -> str | None:
        """What ``method.request.header.X`` (``querystring``, ``path``) or ``context.X`` stands for."""
        kind, _, name = expression.removeprefix("method.request.").partition(".")
        if kind == "header":
            return self.header(name)
        if kind == "querystring":
            return dict(self.query).get(name)
        if kind == "path":
            return self.parameters.get(name)
        return self.variables().get(name) if kind == "context" else None

    def variables(self) -> dict[str, str]:
        """The ``$context`` variables that do not depend on an outcome."""
        return {
            "requestId": self.id,
            "extendedRequestId": self.id,
            "accountId": self.account_id,
            "apiId": self.api_id,
            "stage": self.stage,
            "httpMethod": self.method,
            "path": self.prefix + self.path,
            "resourcePath": self.route.resource,
            "protocol": "HTTP/1.1",
            "requestTime": self._time(),
            "requestTimeEpoch": str(int(self.received * 1000)),
            "identity.sourceIp": self.source_ip,
            "identity.userAgent": self.header("user-agent") or "",
        }

    @property
    def method_arn(self) -> str:
        """The ARN that an authorizer's policy is about."""
        api = f"arn:aws:execute-api:{self.region}:{self.account_id}:{self.api_id}"
        return f"{api}/{self.stage}/{self.method}/{self.path.lstrip('/')}"

    def authorizer_event(self) -> dict[str, Any]:
        """The event of a REQUEST authorizer. Empty maps are ``{}`` here, and ``null`` in a proxy event."""
        common = {key: {} if value is None else value for key, value in self._common().items()}
        return {"type": "REQUEST", "methodArn": self.method_arn, **common, "requestContext": self._context()}

    def proxy_event(self, body: bytes, authorizer: Mapping[str, Any] | None, *, binary: bool = False) -> dict[str, Any]:
        """The event of a Lambda proxy integration: text as it is, anything else, or `binary`, as base64."""
        text: str | None = None
        is_base64 = binary and bool(body)
        try:
            text = body.decode() if body and not binary else None
        except UnicodeDecodeError:
            is_base64 = True
        if is_base64:
            text = base64.b64encode(body).decode()
        context = self._context() | ({"authorizer": dict(authorizer)} if authorizer is not None else {})
        return {**self._common(), "requestContext": context, "body": text, "isBase64Encoded": is_base64}

    def _common(self) -> dict[str, Any]:
        headers = [pair for pair in self.headers if pair[0].lower() not in HOP_BY_HOP]
        headers += [
            ("X-Amzn-Trace-Id", self.trace_id),
            ("X-Forwarded-For", self.source_ip),
            ("X-Forwarded-Port", str(self.port)),
            ("X-Forwarded-Proto", "http"),
        ]
        query = self.query
        return {
            "resource": self.route.resource,
            "path": self.path,
            "httpMethod": self.method,
            "headers": dict(headers),
            "multiValueHeaders": _multi(headers),
            "queryStringParameters": dict(query) or None,
            "multiValueQueryStringParameters": _multi(query) or None,
            "pathParameters": dict(self.parameters) or None,
            "stageVariables": None,
        }

    def _context(self) -> dict[str, Any]:
        return {
            "accountId": self.account_id,
            "apiId": self.api_id,
            "domainName": self.header("host") or "",
            "domainPrefix": self.api_id,
            "extendedRequestId": self.id,
            "httpMethod": self.method,
            "identity": {
                "accessKey": None,
                "accountId": None,
                "caller": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": self.source_ip,
                "user": None,
                "userAgent": self.header("user-agent"),
                "userArn": None,
            },
            "path": self.prefix + self.path,
            "protocol": "HTTP/1.1",
            "requestId": self.id,
            "requestTime": self._time(),
            "requestTimeEpoch": int(self.received * 1000),
            "resourceId": self.route.resource,
            "resourcePath": self.route.resource,
            "stage": self.stage,
        }

    def _time(self) -> str:
        return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self.received))


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values
