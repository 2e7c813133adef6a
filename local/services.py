"""The three servers of the local stack: how each is started, and how it shows that it is ready."""

from __future__ import annotations

import os
from pathlib import Path

from local.ports import answers
from local.processes import Child, Processes
from local.settings import ACCOUNT_ID, HOST, MODEL, REGION, ROOT, TOOLS, Settings, aws_environment

STACK_PYTHON = TOOLS / "stack" / "bin" / "python"
DEV_PYTHON = ROOT / ".venv" / "bin" / "python"
START_SECONDS = 60.0

# The services the template and the functions use, by MiniStack's names.
SERVICES = (
    "apigateway,bedrock-runtime,cloudformation,dynamodb,events,iam,kms,lambda,logs,monitoring,"
    "s3,scheduler,secretsmanager,ses,sqs,states,sts"
)


def start_model(processes: Processes, port: int) -> Child:
    """The model server, on `port`."""
    script = ROOT / "local" / "model_server.py"
    return processes.start("model", [STACK_PYTHON, "-I", script, str(port), MODEL], env=_bare())


def wait_model(processes: Processes, child: Child, port: int) -> None:
    """Until the model is loaded."""
    processes.wait_ready(child, lambda: answers(port, "/health"), START_SECONDS)


def start_ministack(processes: Processes, settings: Settings, model_url: str) -> Child:
    """MiniStack on loopback, its files under the stack's own directory, nothing persisted."""
    home = settings.scratch / "ministack"
    (home / "tmp").mkdir(parents=True)
    env = _bare() | {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.aws_port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "MINISTACK_BEDROCK_PROXY_URL": model_url.removesuffix("/v1"),
        "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": "300",
        "SERVICES": SERVICES,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
        # At its start it removes containers that carry its label; nothing here runs in one, and others' are not ours.
        "DOCKER_HOST": f"unix://{home}/no-docker",
        "LOG_LEVEL": "WARNING",
    }
    return processes.start("ministack", [STACK_PYTHON, "-I", "-m", "ministack"], env=env, cwd=home)


def wait_ministack(processes: Processes, child: Child, settings: Settings) -> None:
    """Until MiniStack answers."""
    processes.wait_ready(child, lambda: answers(settings.aws_port, "/_ministack/ready"), START_SECONDS)


def start_edge(processes: Processes, settings: Settings, config: Path) -> Child:
    """The edge, with the configuration file that `local.edge_config` wrote."""
    command: list[str | Path] = [DEV_PYTHON, "-m", "local.edge", "--config", config]
    return processes.start("edge", command, env=aws_environment(settings), cwd=ROOT)


def wait_edge(processes: Processes, child: Child) -> None:
    """Until the edge says that it listens."""
    processes.wait_ready(child, lambda: "edge ready " in child.log.read_text(errors="replace"), START_SECONDS)


def _bare() -> dict[str, str]:
    # Not the user's environment: it may hold secrets, and MiniStack hands its own on to every function it runs.
    return {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
