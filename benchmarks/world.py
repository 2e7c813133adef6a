"""What the functions see while they are measured: their settings, an API key, events, and a stopwatch."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.stubs import SECRET, Stubs
from chatapi.keys import mint_key

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
PROJECT = "Bench0p1"
KEY = mint_key(SECRET.encode(), PROJECT, "k1")
ROUNDS, CALLS, WARM_UP = 5, 500, 50


@cache
def template() -> dict[str, Any]:
    """template.yaml."""
    from samtranslator.yaml_helper import yaml_parse

    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())  # type: ignore[no-untyped-call]
    return parsed


def settings(function: str, model_url: str = "http://127.0.0.1:9/v1") -> dict[str, str]:
    """The environment of a function of the template: the names are the template's, the values name nothing real."""
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = template()["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
    return {
        **{name: _value(name, value) for name, value in {**shared, **own}.items()},
        "STAGE": "local",
        **({"DEAREST_PRICE": "150000 50000 300000"} if "DEAREST_PRICE" in own else {}),
        **({"MODEL_URL": model_url} if "MODEL_URL" in own else {}),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "t" * 700,  # a role's token is about that long, and is signed
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _value(name: str, value: Any) -> str:
    """A parameter's default, which may be a number; what the template says outright; else a name."""
    if isinstance(value, str):
        return value
    parameters = template()["Parameters"]
    given = parameters.get(value["Ref"]) if isinstance(value, dict) and "Ref" in value else None
    return str(given.get("Default", "")) if given else f"bench-{name.lower()}"


def enter(stubs: Stubs) -> None:
    """Make this process the authorizer's and the chat function's, with the stubs for AWS and provider."""
    os.environ.update(settings("AuthorizerFunction"))
    os.environ.update(settings("ChatFunction", f"{stubs.url}/v1"))
    os.environ["AWS_ENDPOINT_URL"] = stubs.url


def fresh_process(cache_dir: str, function: str) -> dict[str, str]:
    """The environment of a fresh Python that caches bytecode, whatever this one was told.

    Bytecode gets a directory of its own: the first run fills it, the following ones find it, as on Lambda.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "AWS_ENDPOINT_URL") if name in os.environ}
    return {**kept, **settings(function), "PYTHONPYCACHEPREFIX": cache_dir}


def chat_body(tokens: int, *, stream: bool = False, store: bool = False, prompt: str = "Say hello.") -> str:
    """A chat of `tokens` tokens, as the OpenAI SDK sends it."""
    body = {
        "messages": [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": prompt}],
        "model": "smollm2-135m",
        "max_tokens": tokens,
        "stream": stream,
        "store": store,
    }
    return json.dumps(body)


def authorizer_event(body: str, key: str = KEY) -> dict[str, Any]:
    """A request authorizer's event for POST /v1/chat/completions."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Authorization": f"Bearer {key}",
        "Content-Length": str(len(body)),
        "Content-Type": "application/json",
        "Host": f"abcdef1234.execute-api.{REGION}.amazonaws.com",
        "User-Agent": "OpenAI/Python 2.8.1",
        "X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000000",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    return {
        "type": "REQUEST",
        "methodArn": f"arn:aws:execute-api:{REGION}:000000000000:abcdef1234/live/POST/v1/chat/completions",
        "resource": "/v1/chat/completions",
        "path": "/v1/chat/completions",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "00000000-0000-0000-0000-000000000000",
            "stage": "live",
            "identity": {"sourceIp": "203.0.113.7"},
        },
    }


def cpu_seconds(*works: Callable[[], object], calls: int = CALLS, warm_up: int = WARM_UP) -> list[float]:
    """CPU seconds (user and system) of one call of each: the median of rounds that take turns, after a warm-up."""
    for work in works:
        for _ in range(warm_up):
            work()
    spent: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for seconds, work in zip(spent, works, strict=True):
            started = time.process_time()
            for _ in range(calls):
                work()
            seconds.append((time.process_time() - started) / calls)
    return [statistics.median(seconds) for seconds in spent]
