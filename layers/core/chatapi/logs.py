"""Structured logs from an allow-list of fields: a line can carry only what is named here (COL-3).

Values are checked as well as names: numbers, booleans, and short strings of an opaque alphabet (ids, codes, type
names). A sentence, and so a prompt, cannot pass.
"""

from __future__ import annotations

import json
import re
import sys

FIELDS = frozenset(
    "event level function request_id project status code ms model recipient tokens_in tokens_out reserved streamed"  # noqa: SIM905
    " stored outcome error where stage case store count retries operation cold calls peak_mb subject generation".split()
)
_OPAQUE = re.compile(r"[A-Za-z0-9_./:\-<>]{0,200}\Z")

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Scalar = str | int | float | bool | None


def log(event: str, **fields: Scalar) -> None:
    """Write one JSON line. A field off the list raises ValueError in development and test alike; a value that is not
    opaque is replaced by `<withheld>`."""
    unknown = fields.keys() - FIELDS
    if unknown:
        raise ValueError("a log field is not on the allow-list of chatapi.logs")
    line: dict[str, Scalar] = {"event": event}
    for name, value in fields.items():
        line[name] = value if not isinstance(value, str) or _OPAQUE.match(value) else "<withheld>"
    sys.stdout.write(_encode(line) + "\n")
    sys.stdout.flush()


def where(error: BaseException) -> str:
    """The innermost frame of an error as `file.py:line`, without text or values."""
    step = error.__traceback__
    if step is None:
        return ""
    while step.tb_next is not None:
        step = step.tb_next
    return f"{step.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{step.tb_lineno}"


def log_error(event: str, error: BaseException, **fields: Scalar) -> None:
    """Log an error by its type and place alone; its text could quote what a user sent."""
    log(event, level="error", error=type(error).__name__, where=where(error), **fields)
