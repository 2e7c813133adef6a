"""Schemathesis makes requests of the published description: no server error, no status, content type, header, body
or event that it does not name, nothing that is still there once it was deleted, and no route that forgets to ask
for a key.

A hundred cases in the suites. `make prove`: thousands, with those of the coverage phase, which tries every bound that
the schemas name. It sees all routes, with two limits: what comes from agents of the Data Rights Protocol and from
GitHub is signed, so of these routes only the refusals; and moto cannot make the key of one certificate.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from chatapi.keys import SCOPES
from local.settings import TOOLS
from tests.support.campaign import SCALE, examples
from tests.support.live_stack import AMPLE, MODEL, Live

CASES = 100
CHECKS = (
    "no_fault",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "events_conformance",
    "use_after_free",
    "ignored_auth",
)
HOOKS = Path(__file__).parents[1] / "clients"


@pytest.mark.timeout(600 * SCALE)
def test_what_is_described_is_what_happens(
    live: Live, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # given a key that may do everything, behind limits that nobody reaches
    key = live.project(dataclasses.replace(AMPLE, prm=1_000_000), scopes=SCOPES).api_key
    [own] = httpx.get(f"{live.base_url}/keys", headers={"authorization": f"Bearer {key}"}).json()["data"]
    root = live.base_url.removesuffix("/v1")
    config = tmp_path / "schemathesis.toml"
    config.write_text("")
    command = [f"{TOOLS}/clients/bin/st", f"--config-file={config}", "run", f"{root}/openapi.json"]
    command += [f"--url={root}", f"--header=Authorization: Bearer {key}", f"--checks={','.join(CHECKS)}"]
    command += [f"--max-examples={examples(2)}", "--no-color"]
    if SCALE == 1:
        command += ["--phases=fuzzing", "--generation-deterministic"]
    else:
        command += ["--phases=coverage,fuzzing,stateful", "--generation-database=none"]
    if not os.environ.get("CHATAPI_LIVE"):
        command += ["--exclude-path=/.well-known/opendsr.pem"]

    before = len(live.arrived())  # other stories have their outages behind the same edge

    # when it tries each operation
    steered = {
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(HOOKS),
        "KEY_ID": own["id"],
        "MODEL": MODEL,
    }
    settings = os.environ | steered | {"NO_PROXY": "127.0.0.1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=500 * SCALE, check=False
    )

    # then everything was as described, and nothing was cut short by a key that had ended or a limit that was met
    assert done.returncode == 0, done.stdout + done.stderr
    assert "401 Unauthorized" not in done.stdout, done.stdout
    refused = Counter((line["status"], line["method"], line["route"]) for line in live.arrived()[before:])
    assert [each for each in refused if each[0] == 429] == [], refused
    late = [each for each in refused.elements() if each[0] == 503]
    # A stand-in for AWS on a busy machine answers late, and moto invokes no function, which a correction asks of it.
    assert len(late) <= CASES * SCALE // 20, late
    [made] = re.findall(r"^ +(\d+) generated, \1 passed", done.stdout, re.MULTILINE)
    assert int(made) >= CASES * SCALE, done.stdout
    record_property("cases", f"{made} cases, {len(late)} of them late")
    print(done.stdout)
