"""Schemathesis makes requests of the published description: no server error, and no status that it does not name.

50 cases or more in the suites, 5,000 or more in `make prove`. The operations are those of a developer who chats; data
rights, the portal and what other parties send have suites of their own, and moto cannot make their signing key.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from chatapi.keys import SCOPES
from local.settings import TOOLS
from tests.support.campaign import SCALE, examples
from tests.support.live_stack import Live

OPERATIONS = r"^/(v1/(chat|responses|conversations|models|keys|usage)|health|openapi\.json)"
CASES = 50


@pytest.mark.timeout(600 * SCALE)
def test_what_is_described_is_what_happens(live: Live, tmp_path: Path) -> None:
    # given a key that may do everything, behind limits that nobody reaches
    key = live.project(scopes=SCOPES).api_key
    root = live.base_url.removesuffix("/v1")
    config = tmp_path / "schemathesis.toml"
    config.write_text("")
    command = [TOOLS / "clients" / "bin" / "st", f"--config-file={config}", "run", f"{root}/openapi.json"]
    command += [f"--url={root}", f"--header=Authorization: Bearer {key}", f"--include-path-regex={OPERATIONS}"]
    command += ["--checks=not_a_server_error,status_code_conformance,content_type_conformance", "--phases=fuzzing"]
    command += [f"--max-examples={examples(2)}", "--no-color"]
    command += ["--generation-deterministic" if SCALE == 1 else "--generation-database=none"]

    # when it tries each operation
    settings = os.environ | {"NO_PROXY": "127.0.0.1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=500 * SCALE, check=False
    )

    # then everything was as described
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = re.findall(r"^ +(\d+) generated, \1 passed$", done.stdout, re.MULTILINE)
    assert int(made) >= CASES * SCALE, done.stdout
