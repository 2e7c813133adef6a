"""A local stack that a test starts and stops: `python -m local` on free ports, in a directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import httpx

from local.ports import free_port, require_free
from local.settings import LOCK, ROOT

START_SECONDS = 240
STOP_SECONDS = 60
_built: list[Path] = []
"""The directories of the stacks that were started, each with its build: all build the same."""


@dataclass
class LocalStack:
    """The command, its ports and its directory; `info` is stack.json while it runs."""

    home: Path
    port: int = field(default_factory=free_port)
    aws_port: int = field(default_factory=free_port)

    def command(self, **changes: object) -> subprocess.Popen[str]:
        """Start `python -m local` with its output in pipes; `changes` replace PORT, AWS_PORT or LOCAL."""
        places = {"PORT": self.port, "AWS_PORT": self.aws_port, "LOCAL": self.home} | changes
        return subprocess.Popen(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env=os.environ | {name: str(value) for name, value in places.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def refused(self, **changes: object) -> tuple[int, str, str]:
        """Exit code, output and error output of a start that ends by itself."""
        with self.command(**changes) as process:
            out, err = process.communicate(timeout=START_SECONDS)
        return process.returncode, out, err

    def start(self) -> RunningStack:
        """Start, and wait for the line `ready`; a failure carries what was printed and the ends of the logs."""
        self._takes_a_build()
        process = self.command()
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("ready"):
                _built.append(self.home)
                return RunningStack(self, process, printed)
        _, errors = process.communicate(timeout=STOP_SECONDS)
        logs = "\n".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.home.glob("logs/*.log")))
        raise AssertionError(f"the stack did not start:\n{''.join(printed)}{errors}\n{logs}")

    def _takes_a_build(self) -> None:
        """Begin with the build of a stack that was started before, where there is one: it is up to date."""
        found = next((home for home in _built if (home / "build" / "inputs.sha256").exists()), None)
        if found and not (self.home / LOCK).exists():
            shutil.copytree(found / "build", self.home / "build")
            (self.home / LOCK).touch()  # as an earlier start would have left it

    def recorded(self) -> list[int]:
        """The process ids of the running servers."""
        return [entry["pid"] for entry in json.loads((self.home / "processes.json").read_text())]


class RunningStack:
    """A stack that is ready. `info` has the fields of stack.json as attributes."""

    def __init__(self, stack: LocalStack, process: subprocess.Popen[str], printed: list[str]) -> None:
        self.place = stack
        self.process = process
        self.printed = printed
        self.info = SimpleNamespace(**json.loads((stack.home / "stack.json").read_text()))

    def aws(self, service: str) -> Any:
        """A boto3 client of the stack's MiniStack."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.info.aws_endpoint_url,
            region_name=self.info.region,
            aws_access_key_id=self.info.aws_access_key_id,
            aws_secret_access_key=self.info.aws_secret_access_key,
        )

    def cli_environment(self) -> dict[str, str]:
        """The environment in which `chatapi` talks to this stack."""
        return {**os.environ, "CHATAPI_STACK_FILE": str(self.place.home / "stack.json")}

    def waits(self, scale: float) -> None:
        """How long the waits and pauses of the state machines take, as a multiple: 0 skips them."""
        url = self.info.aws_endpoint_url + "/_ministack/config"
        httpx.post(url, json={"stepfunctions._SFN_WAIT_SCALE": str(scale)}, trust_env=False).raise_for_status()

    @contextmanager
    def without_waits(self) -> Iterator[None]:
        """No state machine waits or pauses within the context."""
        self.waits(0)
        try:
            yield
        finally:
            self.waits(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it if the test did not."""
        if self.process.returncode is None:
            self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process id of stack.json; the exit code."""
        if self.process.poll() is None:
            os.kill(self.info.pid, number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; the exit code. What was printed is in `printed` and `errors`."""
        out, self.errors = self.process.communicate(timeout=STOP_SECONDS)
        self.printed.append(out)
        return self.process.returncode


def assert_nothing_left(place: LocalStack, groups: list[int]) -> None:
    """No process, no file that says one runs, and free ports."""
    assert [pid for pid in groups if group_exists(pid)] == []
    assert _processes_of(place.home) == []
    assert not (place.home / "stack.json").exists()
    assert not (place.home / "processes.json").exists()
    assert not (place.home / "run").exists()
    require_free(place.port, "PORT")
    require_free(place.aws_port, "AWS_PORT")


def _processes_of(home: Path) -> list[str]:
    """Command lines of the processes whose command or environment names `home` (Linux; elsewhere groups must do)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if os.fsencode(home) in command + (process / "environ").read_bytes() and process.name != str(os.getpid()):
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return found


def group_exists(pid: int) -> bool:
    """Whether a process group of this number has a member, for up to a few seconds of dying."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS: zombies alone, which init is about to collect
            pass
        time.sleep(0.05)
    return True
