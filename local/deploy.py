"""The very template, built and deployed to MiniStack by SAM CLI."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from local.errors import LocalError
from local.processes import Child, Processes
from local.settings import (
    REGION,
    ROOT,
    STACK_NAME,
    TOOLS,
    Settings,
    aws_environment,
    build_parameters,
    template_parameters,
)

SAM = TOOLS / "sam" / "bin" / "sam"
INPUTS = (
    "template.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "policy",
    "portal",
    "statemachines",
    "requirements/layer.txt",
)


def inputs_digest(root: Path, parameters: Mapping[str, str]) -> str:
    """SHA-256 over all that `sam build` reads: the files' names and contents, the Python version, the processor."""
    digest = hashlib.sha256(f"{sys.version}|{parameters['Architecture']}|{root}\n".encode())
    for name in INPUTS:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(root)}\0{content}\n".encode())
    return digest.hexdigest()


def build_needed(settings: Settings) -> str | None:
    """The digest to build, or None when the build at hand has it."""
    digest = inputs_digest(ROOT, build_parameters())
    stamp = settings.build / "inputs.sha256"
    built = settings.template.exists() and stamp.exists() and stamp.read_text() == digest
    return None if built else digest


def start_build(processes: Processes, settings: Settings) -> Child:
    """`sam build`, in the source tree: the Makefiles of layers and functions read policy/ and requirements/."""
    parameters = build_parameters()
    return processes.start(
        "build",
        [
            *(SAM, "build", "--build-in-source", "--no-cached"),
            *("--template-file", ROOT / "template.yaml", "--build-dir", settings.build),
            *("--parameter-overrides", *_overrides(parameters)),
        ],
        env=_sam_environment(settings)
        | {
            "RUNTIME": parameters["PythonRuntime"],
            "ARCH": parameters["Architecture"],
            "LOCAL_WHEELS": "1",
        },
        cwd=ROOT,
    )


def finish_build(processes: Processes, child: Child, settings: Settings, digest: str) -> None:
    """Wait for the build and remember what it was made of. Raises LocalError when it failed."""
    if processes.finish(child) != 0:
        raise _failure("sam build", child)
    (settings.build / "inputs.sha256").write_text(digest)


def deploy(processes: Processes, settings: Settings, model_url: str) -> None:
    """`sam deploy` to MiniStack. Raises LocalError when it failed."""
    child = processes.start(
        "deploy",
        [
            *(SAM, "deploy", "--template-file", settings.template, "--stack-name", STACK_NAME, "--region", REGION),
            *("--resolve-s3", "--no-confirm-changeset", "--no-progressbar", "--capabilities", "CAPABILITY_IAM"),
            *("--parameter-overrides", *_overrides(template_parameters(settings, model_url))),
        ],
        env=_sam_environment(settings),
        cwd=ROOT,
    )
    if processes.finish(child) != 0:
        raise _failure("sam deploy", child)


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    # SAM CLI splits at spaces outside quotes: a schedule has one.
    return [f'{name}="{value}"' if " " in value else f"{name}={value}" for name, value in parameters.items()]


def _sam_environment(settings: Settings) -> dict[str, str]:
    return aws_environment(settings) | {
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(settings.home / "sam"),  # else ~/.aws-sam
        "PYTHON": sys.executable,  # of .venv: it has pip, and the version that the functions run on
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "COLUMNS": "120",
    }


def _failure(what: str, child: Child) -> LocalError:
    lines = child.log.read_text(errors="replace").splitlines()
    reason = next((line.strip() for line in reversed(lines) if line.startswith("Error:")), "")
    return LocalError(f"{what} failed{': ' if reason else ''}{reason.removeprefix('Error: ')} (see {child.log})")
