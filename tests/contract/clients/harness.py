"""What the scripts beside this one share: where ChatAPI is, the scripted model's controls, and how cases are reported.

They run in an environment of the clients alone (requirements/clients.in), so nothing of this repository is imported:
`python harness.py litellm_cases`. `LIVE` says where: {base_url, upstream, api_key}; `ELSEWHERE` is an empty file, for
the hosts that a client turned to besides. Each case is a line of JSON on standard output: {name, passed, error}.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIVE: dict[str, str] = json.loads(os.environ["LIVE"])
MODEL = "smollm2-135m"
ANSWER = "Hello from the scripted upstream."
WEATHER = {"tool_calls": [["weather", '{"city": "Wien"}']]}
HERE = ("127.0.0.1", "localhost", "::1", None)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note whom the client turns to besides ChatAPI: its telemetry, its price lists, its tokenizers."""
    host: Any = HERE[0]
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    host = host.decode() if isinstance(host, bytes) else host
    if host not in HERE:
        with open(os.environ["ELSEWHERE"], "a") as file:
            print(host, file=file)
        raise OSError("not in a test")


def raised(kind: type[Exception], act: Callable[[], object]) -> Any:
    """The error of this kind that `act` ends in."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError("no error")


def script(*scripts: dict[str, Any]) -> None:
    """Queue what the model answers next (tests/support/scripted_upstream.py)."""
    _control("/_script", list(scripts))


def asked() -> list[dict[str, Any]]:
    """The bodies that came to the model."""
    with urllib.request.urlopen(LIVE["upstream"] + "/_requests", timeout=10) as answer:
        return [received["body"] for received in json.load(answer)]


def run(module: dict[str, Any]) -> None:
    """Every function of the module whose name begins with `case_`; then, whether anybody else was turned to."""
    for name, case in module.items():
        if name.startswith("case_"):
            _control("/_reset", {})
            _report(name, case)
    _report("nobody_else", _nobody_else)


def _report(name: str, case: Callable[[], None]) -> None:
    error = None
    try:
        case()
    except Exception:  # whatever the client raises
        error = traceback.format_exc()
    print(json.dumps({"name": name, "passed": error is None, "error": error}), flush=True)


def _nobody_else() -> None:
    assert Path(os.environ["ELSEWHERE"]).read_text() == ""


def _control(what: str, body: Any) -> None:
    url = LIVE["upstream"] + what
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10):
        pass


if __name__ == "__main__":
    # As `python -m MODULE ARGUMENTS…`, but watched, from its first import on.
    sys.addaudithook(_watch)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
