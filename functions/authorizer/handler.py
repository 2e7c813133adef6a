"""Entry point: a REST API request authorizer (API Gateway, "Use API Gateway Lambda authorizers").

What it can answer: a policy that allows, a policy that denies with a context (429 through the ACCESS_DENIED gateway
response), `Unauthorized` raised (401), any other exception (a fault: 503, so it fails closed).
"""

from __future__ import annotations

from typing import Any

from authorizer.service import Authorizer, Denied, Unauthorized
from chatapi.logs import log_error
from chatapi.verdict import OK
from chatapi.warm import Warm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chatapi.signals import Signals


@Warm
def _service() -> Authorizer:
    """The composition root: clients are made once per warm function, at the first request, never at init."""
    from chatapi.aws.client import AwsClient
    from chatapi.clock import SystemClock
    from chatapi.environment import region, setting
    from chatapi.prices import Price
    from chatapi.secrets import Secrets

    mint, pepper = setting("MINT_SECRET"), setting("KEY_PEPPER_SECRET")
    secrets = Secrets(AwsClient("secretsmanager", region=region()))
    return Authorizer(
        # Short and few: a client waits for this call before anything else happens.
        AwsClient("dynamodb", region=region(), timeout=0.8, attempts=2),
        table=setting("PROJECTS_TABLE"),
        mint=lambda: secrets.get(mint),
        pepper=lambda: secrets.get(pepper),
        clock=SystemClock(),
        open_without_store=setting("WHEN_STORE_FAILS") == "open",
        dearest=Price(*map(int, setting("DEAREST_PRICE").split())),
    )


@Warm
def _signals() -> Signals:
    """The signals of abuse, which load at the first failure."""
    from authorizer.signals import compose

    return compose()


def _failed(failure: str, address: str | None, headers: dict[str, str]) -> None:
    """Count a failure of an address. Never raises."""
    _signals().note(failure, address, headers.get("user-agent"))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Decide one request."""
    del context
    source_ip = (event["requestContext"].get("identity") or {}).get("sourceIp")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    length = headers.get("content-length", "")
    try:
        verdict = _service().decide(
            headers.get("authorization"),
            method=event["httpMethod"],
            resource=event["resource"],
            content_length=int(length) if length.isdecimal() and len(length) < 12 else None,
            source_ip=source_ip,
        )
    except Unauthorized:
        _failed("unauthorized", source_ip, headers)
        # API Gateway maps exactly this text to its UNAUTHORIZED response.
        raise Exception("Unauthorized") from None
    except Denied as denied:
        _failed("limited", source_ip, headers)
        return _policy("Deny", event["methodArn"], "-", denied.context)
    except Exception as error:  # noqa: BLE001 - whatever it is, the request is not let in
        code = getattr(error, "code", None)  # AWS's, if it has one
        request_id = event["requestContext"]["requestId"]
        log_error("authorizer_failed", error, function="authorizer", request_id=request_id, code=code)
        raise RuntimeError("authorizer failed") from None
    if verdict.outcome != OK:
        _failed("forbidden", source_ip, headers)
    return _policy("Allow", event["methodArn"], verdict.project, verdict.to_context())


def _policy(effect: str, arn: str, principal: str, context: dict[str, str]) -> dict[str, Any]:
    # The stage, not the path: that one is the caller's text, and a `${` in it would read as a policy variable. Nothing
    # is cached (TTL 0), so the policy holds for this request alone.
    api, stage, _ = arn.split("/", 2)
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*"}],
        },
        "context": context,
    }
