"""Gateway responses: what API Gateway answers by itself (AWS: "Gateway responses for REST APIs in API Gateway")."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum

from local.edge.template import Api, GatewayResponse

_VARIABLE = re.compile(r"\$context\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'


class Kind(Enum):
    """The response types in use."""

    ACCESS_DENIED = "ACCESS_DENIED"
    UNAUTHORIZED = "UNAUTHORIZED"
    AUTHORIZER_FAILURE = "AUTHORIZER_FAILURE"
    AUTHORIZER_CONFIGURATION_ERROR = "AUTHORIZER_CONFIGURATION_ERROR"
    API_CONFIGURATION_ERROR = "API_CONFIGURATION_ERROR"
    MISSING_AUTHENTICATION_TOKEN = "MISSING_AUTHENTICATION_TOKEN"  # noqa: S105  # AWS's name for "no such route"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    INTEGRATION_FAILURE = "INTEGRATION_FAILURE"
    INTEGRATION_TIMEOUT = "INTEGRATION_TIMEOUT"
    # Lambda's own failures have no type of their own: a failed or malformed answer is a 502, a throttle a 500, and
    # DEFAULT_5XX shapes both.
    BAD_GATEWAY = "BAD_GATEWAY"
    LAMBDA_THROTTLED = "LAMBDA_THROTTLED"


_SERVER_ERROR = ("Internal server error", "InternalServerErrorException")
_AUTHORIZER_ERROR = ("Internal server error", "AuthorizerConfigurationException")
_DEFAULTS: Mapping[Kind, tuple[int, str, str]] = {  # status, message, x-amzn-errortype
    Kind.ACCESS_DENIED: (403, "User is not authorized to access this resource", "AccessDeniedException"),
    Kind.UNAUTHORIZED: (401, "Unauthorized", "UnauthorizedException"),
    Kind.AUTHORIZER_FAILURE: (500, *_AUTHORIZER_ERROR),
    Kind.AUTHORIZER_CONFIGURATION_ERROR: (500, *_AUTHORIZER_ERROR),
    Kind.API_CONFIGURATION_ERROR: (500, *_SERVER_ERROR),
    Kind.MISSING_AUTHENTICATION_TOKEN: (403, "Missing Authentication Token", "MissingAuthenticationTokenException"),
    Kind.REQUEST_TOO_LARGE: (413, "Request Too Long", "RequestTooLargeException"),
    Kind.INTEGRATION_FAILURE: (504, *_SERVER_ERROR),
    Kind.INTEGRATION_TIMEOUT: (504, "Endpoint request timed out", "InternalServerErrorException"),
    Kind.BAD_GATEWAY: (502, *_SERVER_ERROR),
    Kind.LAMBDA_THROTTLED: (500, *_SERVER_ERROR),
}


def render(api: Api, kind: Kind, variables: Mapping[str, str | None]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of ``kind``, by the template's own entry, else its DEFAULT_4XX or _5XX, else AWS's.

    ``variables`` are the ``$context`` values by their name without ``$context.``. One without a value is empty in a
    body, and its header is left out.
    """
    default_status, message, error_type = _DEFAULTS[kind]
    fallback = api.gateway_responses.get("DEFAULT_5XX" if default_status >= 500 else "DEFAULT_4XX")
    chosen = api.gateway_responses.get(kind.value) or fallback or GatewayResponse(None, {}, None)
    status = chosen.status or (fallback.status if fallback else None) or default_status
    known = {
        **variables,
        "error.message": message,
        "error.messageString": json.dumps(message),
        "error.responseType": "DEFAULT_5XX" if kind in (Kind.BAD_GATEWAY, Kind.LAMBDA_THROTTLED) else kind.value,
    }
    body = _VARIABLE.sub(lambda match: known.get(match[1]) or "", chosen.template or _DEFAULT_TEMPLATE)
    headers = {"content-type": "application/json", "x-amzn-errortype": error_type}
    for name, expression in chosen.headers.items():
        value = _value(expression, known)
        if value is not None:
            headers[name.lower()] = value
    return status, list(headers.items()), body.encode()


def _value(expression: str, known: Mapping[str, str | None]) -> str | None:
    if expression.startswith("'"):
        return expression.strip("'")
    return known.get(expression.removeprefix("context."))
