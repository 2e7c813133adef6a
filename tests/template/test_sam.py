"""SAM CLI and cfn-lint find nothing to say about the template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.transformed import REGION, ROOT, transformed

SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
ENVIRONMENT = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}


def test_sam_validate_finds_nothing() -> None:
    done = subprocess.run(
        [str(SAM), "validate", "--lint"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_cfn_lint_finds_nothing_in_the_transformed_template(tmp_path: Path) -> None:
    # S3 locations of code and definitions are strings until `sam package` has uploaded them
    template = transformed()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            resource["Properties"]["DefinitionS3Location"] = {"Bucket": "bucket", "Key": "key"}
    (tmp_path / "template.json").write_text(json.dumps(template))
    lint = [
        sys.executable,
        "-c",
        "import sys; from cfnlint.runner import main; sys.exit(main())",
        "--regions",
        REGION,
        "--",
    ]
    lint.append(str(tmp_path / "template.json"))
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
