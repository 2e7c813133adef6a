"""What MiniStack runs in place of a function that a line listens to: the shipped code as it was built, which tells the
line when a process is born and when it begins and ends a task. See tests/support/listened_line.py.

It is sent to MiniStack by itself: the standard library alone.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
from typing import Any


def _tell(word: str, **said: Any) -> Any:
    """Tell the line, and hear its answer."""
    line = http.client.HTTPConnection(os.environ["LISTENED_LINE"], timeout=120)
    try:
        line.request("POST", "/" + word, json.dumps({"pid": os.getpid(), **said}))
        answer = line.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())
    finally:
        line.close()


os.environ["AWS_ENDPOINT_URL"] = _tell("born")
_module, _, _name = os.environ["LISTENED_HANDLER"].rpartition(".")
_shipped = getattr(importlib.import_module(_module), _name)


def handler(event: dict[str, Any], context: object) -> Any:
    """One task; what the line says instead, where its execution was stopped."""
    said = _tell("begins", event=event)
    if said is not None:
        return said
    try:
        result = _shipped(event, context)
    except Exception:
        _tell("fails")  # and MiniStack ends the process
        raise
    _tell("ends")
    return result
