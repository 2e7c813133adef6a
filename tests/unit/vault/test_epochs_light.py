"""The functions that turn the epoch have no means to open a wrap: what decrypts is not even loaded."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.transformed import ROOT, transformed

COMPOSE_ALL = """
import json, sys
from epochs import begin, move, retire
begin._composed(), retire._composed(), move._composed().work("arn")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_they_compose_without_anything_that_decrypts() -> None:
    resources = transformed()["Resources"]
    names = {
        name
        for function in ("Begin", "Move", "Retire")
        for name in resources[f"Epoch{function}Function"]["Properties"]["Environment"]["Variables"]
    }
    done = subprocess.run(
        [sys._base_executable, "-S", "-c", COMPOSE_ALL],  # type: ignore[attr-defined]
        env={**dict.fromkeys(names, "7"), "AWS_REGION": "x", "PYTHONPATH": "layers/core:functions"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not {"cryptography", "boto3", "botocore"} & set(json.loads(done.stdout))
