"""Where one local stack lives: its ports, its directory, its AWS identity."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
HOST = "127.0.0.1"
STACK_NAME = "chatapi"
REGION = "eu-central-1"
ACCOUNT_ID = "000000000000"
# MiniStack takes a 12-digit access key for the account's number, so its own function workers and ours see one world.
ACCESS_KEY_ID = ACCOUNT_ID
SECRET_ACCESS_KEY = "test"  # noqa: S105 - MiniStack checks none but in presigned URLs, and there this default of its own
MODEL = "smollm2-135m"
LOCK = "lock"  # in the stack's directory: held while it runs, its content the process id that SIGTERM goes to


@dataclass(frozen=True)
class Settings:
    """One stack's places. Two stacks run side by side when all three of `port`, `aws_port` and `home` differ."""

    port: int
    aws_port: int
    home: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """From PORT, AWS_PORT and LOCAL, as `make run` passes them; unset or empty means the default."""
        return cls(
            port=_port(env, "PORT", 8080),
            aws_port=_port(env, "AWS_PORT", 4566),
            home=(ROOT / (env.get("LOCAL") or ".local")).resolve(),
        )

    @property
    def logs(self) -> Path:
        """Logs of every process; kept after a stop, begun anew at a start."""
        return self.home / "logs"

    @property
    def scratch(self) -> Path:
        """All that the processes keep while they run; removed at stop and at start."""
        return self.home / "run"

    @property
    def build(self) -> Path:
        """What `sam build` made (build.toml beside it); kept from run to run."""
        return self.home / "build" / "out"

    @property
    def template(self) -> Path:
        """The built template."""
        return self.build / "template.yaml"

    @property
    def stack_file(self) -> Path:
        """What scripts read; it is there while the stack is ready (and after SIGKILL, until the next start or stop)."""
        return self.home / "stack.json"

    @property
    def record(self) -> Path:
        """Which processes run; a killed run leaves it, for the next start or stop to end them."""
        return self.home / "processes.json"

    def clean(self) -> None:
        """Remove all that may hold anything of a user: the stack file, MiniStack's and the functions' files."""
        self.stack_file.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    @property
    def aws_endpoint(self) -> str:
        """MiniStack's URL."""
        return f"http://{HOST}:{self.aws_port}"

    @property
    def base_url(self) -> str:
        """The URL an OpenAI SDK takes."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def portal_url(self) -> str:
        """The URL that people open."""
        return f"http://{HOST}:{self.port}/portal"


def aws_environment(settings: Settings) -> dict[str, str]:
    """The user's environment with every AWS setting of theirs replaced: nothing here may ever reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": settings.aws_endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A proxy of the user's must not get between processes on loopback.
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
    }


def build_parameters() -> dict[str, str]:
    """The template's parameters that a build depends on: this machine's Python and processor."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": "arm64" if arm else "x86_64",
    }


def template_parameters(settings: Settings, model_url: str) -> dict[str, str]:
    """The template's parameters on this machine. `model_url` ends in /v1."""
    return build_parameters() | {
        "Stage": "local",
        "ModelUrl": model_url,
        "PortalUrl": settings.portal_url,
        # The second residue scan of an erasure comes soon, so that a developer sees the whole workflow end.
        "LateWriterSeconds": "5",
        # MiniStack's EventBridge runs schedules too; nobody waits an hour to see a first number.
        "UsageSchedule": "rate(1 minute)",
        "ClockSchedule": "rate(1 minute)",
        # A retired epoch rests for seconds, so that the whole turn can be seen.
        "EpochQuietSeconds": "3",
    }


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise LocalError(f"{name} must be a port number (1-65535)")
    return int(text)
