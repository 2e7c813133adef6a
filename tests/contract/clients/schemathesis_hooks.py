"""Steers Schemathesis to where something can be found, in its own process and environment.

It reuses what the API has answered, so it would revoke the key that it works with, and be told 401 from there on. And a
model's name that it makes up is never one: most chats name one that exists.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

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


@schemathesis.hook
def before_call(context: Any, case: Any, **options: Any) -> None:
    """Change a case before it is sent: by what is in it, so that a run can be repeated."""
    parameters, body = case.path_parameters, case.body
    if case.path.startswith("/v1/keys/") and isinstance(parameters, dict) and parameters.get("id") == _KEY:
        parameters["id"] = "k9999"
    model = _MODELS.get(case.path)
    if model and isinstance(body, dict) and isinstance(body.get("model"), str):
        shown = json.dumps(body, sort_keys=True, default=repr)
        if zlib.crc32(shown.encode(errors="backslashreplace")) % 8:
            body["model"] = model
