"""Signed calls to AWS: the JSON protocols of DynamoDB, KMS, Secrets Manager and Step Functions, and plain REST."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from functools import lru_cache

from chatapi.aws.credentials import AmbientCredentials
from chatapi.aws.errors import AwsError, AwsUnavailable, TransportError
from chatapi.aws.sigv4 import Form, Signer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from chatapi.aws.credentials import Credentials
    from chatapi.aws.transport import Response

# service: (name in the environment, target prefix, JSON version). The first column is the SDKs' service id
# (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
_SERVICES = {
    "bedrock": ("BEDROCK_RUNTIME", "", ""),
    "dynamodb": ("DYNAMODB", "DynamoDB_20120810", "1.0"),
    "kms": ("KMS", "TrentService", "1.1"),
    "lambda": ("LAMBDA", "", ""),
    "secretsmanager": ("SECRETS_MANAGER", "secretsmanager", "1.1"),
    "ses": ("SESV2", "", ""),
    "states": ("SFN", "AWSStepFunctions", "1.0"),
}
# The name in a signature differs from the name in the address for these.
_SIGNING_NAMES = {"bedrock-runtime": "bedrock", "email": "ses"}
_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",  # a transaction holds the item, for milliseconds: nothing was written
        "TransactionInProgressException",
    }
)
_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0
# One encoder for all calls; payloads are trees that were just built, and looking for cycles doubles the time.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class AwsClient:
    """A client of one service in one region.

    ``timeout`` (seconds) bounds the connect and each wait of one attempt. ``attempts`` counts the first one: a failed
    connection, a timeout, a 5xx and a throttle are tried again after a short pause with full jitter, so a write must be
    conditional, idempotent or harmless when it happens twice. With ``once`` nothing is ever sent again, for writes
    that are none of these. ``calls`` counts calls (not attempts) by operation, ``made``
    those of all clients of the process.
    """

    made = 0

    def __init__(
        self,
        service: str,
        *,
        region: str,
        endpoint: str | None = None,
        credentials: Callable[[], Credentials] | None = None,
        timeout: float = 2.0,
        attempts: int = 2,
        sleep: Callable[[float], None] = time.sleep,
        once: bool = False,
    ) -> None:
        from chatapi.aws.transport import Transport  # loads http.client and ssl: a client may never be made

        signing_name = _SIGNING_NAMES.get(service, service)
        if signing_name not in _SERVICES:
            raise ValueError("unknown AWS service")
        if once:
            attempts = 1
        if attempts < 1:
            raise ValueError("attempts must be at least 1")
        env_name, self._target, self._json_version = _SERVICES[signing_name]
        endpoint = (
            endpoint
            or os.environ.get(f"AWS_ENDPOINT_URL_{env_name}")
            or os.environ.get("AWS_ENDPOINT_URL")
            or f"https://{service}.{region}.amazonaws.com"
        )
        self._transport = Transport(endpoint, timeout=timeout, resend=not once)
        self._signer = Signer(signing_name, region)
        self._credentials = credentials or AmbientCredentials()
        self._attempts = attempts
        self._sleep = sleep
        self._forms: dict[str, Form] = {}
        self.calls: Counter[str] = Counter()

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call an operation of a JSON service, ``client.call("GetItem", {...})``, and return its output.

        Payload and output are in wire form: DynamoDB items as attribute values, KMS and binary values as base64 text.
        Raises :class:`AwsError` when AWS refuses, :class:`AwsUnavailable` when it cannot answer.
        """
        self.calls[operation] += 1
        AwsClient.made += 1
        body = _encode(payload).encode()
        failure: AwsUnavailable | None = None
        for attempt in range(self._attempts):
            self._pause(attempt)
            try:
                signed = self._form(operation).sign(body, _amz_date(int(time.time())))
                response = self._transport.send("POST", "/", signed, body)
                output = _parse(response.read())
            except TransportError as error:
                failure = _unreachable(error)
                continue
            if response.status == 200 and output is not None:
                return output
            refusal = _refusal(response, output)
            if not isinstance(refusal, AwsUnavailable):
                raise refusal
            failure = refusal
        raise failure or AwsUnavailable("ConnectionFailed")

    def open(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> tuple[int, dict[str, str], Response]:
        """Send a REST request; return status, headers and the response to read, stream or close.

        ``target`` is path and query as they go on the wire (:func:`chatapi.aws.sigv4.encode_segment`). What AWS
        refused comes back with its status, what it could not do raises :class:`AwsUnavailable`. A request that was
        sent and not answered is not repeated: what it started may still be running, and be charged.
        """
        self.calls[target.partition("?")[0].rpartition("/")[2]] += 1
        AwsClient.made += 1
        all_headers = {"host": self._transport.host}
        all_headers.update((name.lower(), value) for name, value in (headers or {}).items())
        failure = AwsUnavailable("ConnectionFailed")
        for attempt in range(self._attempts):
            self._pause(attempt)
            try:
                credentials, amz_date = self._credentials(), _amz_date(int(time.time()))
                signed = self._signer.sign(
                    credentials, method, target, headers=all_headers, body=body, amz_date=amz_date
                )
                response = self._transport.send(method, target, signed, body, timeout=timeout)
                if response.status < 500 and response.status != 429:
                    return response.status, response.headers, response
                output = _parse(response.read())
            except TransportError as error:
                failure = _unreachable(error)
                if error.sent:
                    break
                continue
            failure = AwsUnavailable(_code(response, output), response.status)
        raise failure

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _form(self, operation: str) -> Form:
        """What all requests of an operation share, while the credentials stay the same."""
        credentials = self._credentials()
        form = self._forms.get(operation)
        if form is None or form.credentials is not credentials:
            headers = {
                "host": self._transport.host,
                "content-type": f"application/x-amz-json-{self._json_version}",
                "x-amz-target": f"{self._target}.{operation}",
            }
            form = self._forms[operation] = Form(self._signer, credentials, "POST", "/", headers)
        return form

    def _pause(self, attempt: int) -> None:
        if attempt:
            # os.urandom, because SnapStart would clone the state of the random module into every function.
            jitter = int.from_bytes(os.urandom(4), "big") / 2**32
            self._sleep(jitter * min(_LONGEST_BACKOFF, _BACKOFF * 2 ** (attempt - 1)))


@lru_cache(maxsize=4)
def _amz_date(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        output = json.loads(data.decode() or "{}")
    except ValueError:
        return None
    return output if isinstance(output, dict) else {} if output is None else None  # null: no output, as moto says it


def _unreachable(error: TransportError) -> AwsUnavailable:
    return AwsUnavailable("Timeout" if error.timed_out else "ConnectionFailed")


def _refusal(response: Response, output: dict[str, Any] | None) -> AwsError:
    code = _code(response, output)
    status = response.status
    if status == 200 or status >= 500 or status == 429 or code in _THROTTLED:
        return AwsUnavailable(code, status)
    reasons = (output or {}).get("CancellationReasons") or ()
    return AwsError(
        code,
        status,
        item=(output or {}).get("Item"),
        reasons=tuple(_name(reason.get("Code", "None")) for reason in reasons),
    )


def _code(response: Response, output: dict[str, Any] | None) -> str:
    """``com.amazonaws.dynamodb.v20120810#SomeException`` or ``SomeException:http://…`` → ``SomeException``."""
    found = response.headers.get("x-amzn-errortype") or (output or {}).get("__type") or (output or {}).get("code")
    return _name(str(found or "").partition(":")[0].rpartition("#")[2])


def _name(code: str) -> str:
    """Only a name may get into an exception's text, whatever the peer sends."""
    return code if code.isascii() and code.isalnum() and len(code) <= 64 else "InvalidResponse"
