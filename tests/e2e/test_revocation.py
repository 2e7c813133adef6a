"""A key is revoked under load: refused on the next request, with leases within a second, through the whole system."""

from __future__ import annotations

import json
import subprocess
import time

import httpx
import pytest

from tests.e2e.local_stack import RunningStack
from tests.support.transformed import ROOT


def command(stack: RunningStack, *words: str) -> str:
    chatapi = ROOT / ".venv" / "bin" / "chatapi"
    done = subprocess.run(
        [chatapi, *words], env=stack.cli_environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize("options", [[], ["--concurrency=0", "--lease=8"]], ids=["usual", "leases"])
def test_a_revocation_counts_within_a_second(stack: RunningStack, options: list[str]) -> None:
    # given a key that is used all the time
    made = json.loads(command(stack, "projects", "create", "--name", "n", "--rpm=1000000", *options, "--json"))
    headers = {"authorization": f"Bearer {made['api_key']}"}
    with httpx.Client(base_url=stack.info.base_url, headers=headers, timeout=30) as http:
        for _ in range(40):
            assert http.get("/models").status_code == 200
        # when it is revoked by the command, which has written that when it returns
        command(stack, "keys", "revoke", made["project_id"], "k1")
        revoked, late = time.monotonic(), []
        while (now := time.monotonic()) < revoked + 1.5:
            late.append((now - revoked, http.get("/models").status_code))
    # then no request that began a second later is let in, and without leases none at all
    after = 1.0 if options else 0.0
    assert {status for began, status in late if began >= after} == {401}
