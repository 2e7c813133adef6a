"""Steers Schemathesis to where something can be found, in its own process and environment.

It reuses what the API has answered, so it would revoke the key that it works with, and be told 401 from there on. And a
model's name that it makes up is never one: most chats name one that exists.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import jsonschema_rs
import schemathesis

_KEY = os.environ["KEY_ID"]
_MODELS = dict.fromkeys(("/v1/chat/completions", "/v1/responses"), os.environ["MODEL"])


@schemathesis.check
def no_fault(context: Any, response: Any, case: Any) -> None:
    """No server error; 503 `service_unavailable` is what is said, and described, where AWS does not answer in time, as
    its stand-in on a busy machine may not. The test counts those."""
    if response.status_code >= 500:
        code = (response.json().get("error") or {}).get("code") if response.status_code == 503 else None
        assert code == "service_unavailable", f"server error {response.status_code}"


@schemathesis.check
def events_conformance(context: Any, response: Any, case: Any) -> None:
    """The data of each event of a stream is what `x-event-schema` says; no keyword of JSON Schema fits `[DONE]`."""
    if not response.headers.get("content-type", [""])[0].startswith("text/event-stream"):
        return
    whole = case.operation.schema.raw_schema
    content = whole["paths"][case.path][case.method.lower()]["responses"]["200"]["content"]["text/event-stream"]
    asked = jsonschema_rs.validator_for({**content["x-event-schema"], "components": whole["components"]})
    found = [line[6:] for line in response.content.decode().splitlines() if line.startswith("data: ")]
    assert found, "a stream without events"
    for data in found:
        if data != "[DONE]":
            error = next(asked.iter_errors(json.loads(data)), None)
            assert error is None, f"an event that is not as described: {error}"


@schemathesis.hook
def before_call(context: Any, case: Any, **options: Any) -> None:
    """Change a case before it is sent: by what is in it, so that a run can be repeated."""
    parameters, body = case.path_parameters, case.body
    if case.path.startswith("/v1/keys/") and isinstance(parameters, dict) and parameters.get("id") == _KEY:
        parameters["id"] = "k9999"
    if zlib.crc32(repr(body).encode(errors="backslashreplace")) % 8:
        case.headers.pop("Idempotency-Key", None)  # one that is reused with another body is refused, and hides the rest
    model = _MODELS.get(case.path)
    if model and isinstance(body, dict) and isinstance(body.get("model"), str):
        shown = json.dumps(body, sort_keys=True, default=repr)
        if zlib.crc32(shown.encode(errors="backslashreplace")) % 8:
            body["model"] = model
