"""LangChain, LiteLLM and the `llm` command do their work against ChatAPI: tests/contract/clients/*_cases.py.

Their packages have an environment of their own (`local/setup.py clients`), for their pins are not the product's. What
they would report to their makers is switched off, and a case of its own proves that they turned to nobody else.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.settings import TOOLS
from tests.support.live_stack import Live

CASES = Path(__file__).parents[1] / "clients"
SCRIPTS = sorted(path.stem for path in CASES.glob("*_cases.py"))
NAMES = [
    (script, name)
    for script in SCRIPTS
    for name in [*re.findall(r"^def (case_\w+)", (CASES / f"{script}.py").read_text(), re.MULTILINE), "nobody_else"]
]
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "NO_PROXY": "127.0.0.1",
}
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def ran(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Results]:
    """What a script reported, run once: name → {passed, error}."""

    @cache
    def run(script: str) -> Results:
        elsewhere = tmp_path_factory.mktemp("clients") / "elsewhere"
        elsewhere.touch()
        upstream = live.upstream.base_url.removesuffix("/v1")
        told = {"base_url": live.base_url, "upstream": upstream, "api_key": live.project().api_key}
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OPENAI_"))}
        done = subprocess.run(
            [TOOLS / "clients" / "bin" / "python", CASES / "harness.py", script],
            env=settings | QUIET | {"LIVE": json.dumps(told), "ELSEWHERE": str(elsewhere)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]  # LiteLLM prints advice as well
        return {one["name"]: one for one in map(json.loads, lines)} or {"": {"error": done.stderr}}

    return run


@pytest.mark.parametrize(("script", "name"), NAMES)
def test_a_case(ran: Callable[[str], Results], script: str, name: str) -> None:
    results = ran(script)
    assert name in results, results
    assert results[name]["passed"], results[name]["error"]
