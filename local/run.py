"""`make run`: start everything, say `ready`, keep it until a signal comes, stop everything.

leftovers → ports → model + MiniStack + sam build → sam deploy → edge → first key → stack.json → ready
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Deployed
from local.deploy import build_needed, deploy, finish_build, start_build
from local.edge_config import edge_config
from local.errors import LocalError, Refused
from local.ports import free_port, require_free
from local.processes import Processes, end_leftovers, write_private
from local.services import start_edge, start_ministack, start_model, wait_edge, wait_ministack, wait_model
from local.settings import (
    ACCESS_KEY_ID,
    ACCOUNT_ID,
    HOST,
    LOCK,
    MODEL,
    REGION,
    ROOT,
    SECRET_ACCESS_KEY,
    STACK_NAME,
    Settings,
    aws_environment,
    template_parameters,
)
from local.template import BuiltTemplate

STEPS = 6
CONTACT = "owner@example.com"
"""Where the owner of the first project is reached: MiniStack keeps the mail (docs/portal.md)."""


class Stopped(Exception):
    """A signal asked for the end."""


class Progress:
    """One line per step: its number, what it does, and the seconds it took."""

    def __init__(self) -> None:
        self._number = 0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce `what`, and tell its time when it is done."""
        self._number += 1
        print(f"[{self._number}/{STEPS}] {what} …", end="", flush=True)
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            _last_word("")
            raise
        print(f" {time.monotonic() - begun:.1f} s", flush=True)


def main() -> int:
    """Run the stack; the exit code: 0 after a signal, 3 when the start was refused, 1 when anything failed."""
    stop = _on_signals()
    try:
        settings = Settings.from_env(os.environ)
        with _only_one(settings):
            end_leftovers(settings.record)
            settings.clean()
            processes = Processes(settings.record, settings.logs, stop)
            try:
                _start(settings, processes)
                child = processes.watch()
                raise LocalError(f"{child.name} ended with code {child.process.returncode}; see {child.log}")
            finally:
                _ignore_signals()
                settings.stack_file.unlink(missing_ok=True)
                processes.stop()
                settings.clean()
    except Stopped:
        _last_word("stopped")
        return 0
    except LocalError as error:
        print(f"chatapi: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except (BotoCoreError, ClientError) as error:
        print(f"chatapi: MiniStack did not answer as it should: {error}", file=sys.stderr, flush=True)
        return 1


def first_key(settings: Settings, stack_file: Path) -> dict[str, str]:
    """Create the project `local` through the command line, as a developer would; its `project_id` and `api_key`."""
    command = [str(ROOT / ".venv" / "bin" / "chatapi"), "projects", "create", "--name", "local", "--rpm", "600"]
    command += ["--tpm", "1000000", "--concurrency", "20", "--retention", "history", "--json"]
    command += ["--prm", "600"]  # who tries things out follows several requests at once
    command += ["--contact", CONTACT]
    env = aws_environment(settings) | {"CHATAPI_STACK_FILE": str(stack_file)}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        made = json.loads(done.stdout)
        return {name: str(made[name]) for name in ("project_id", "api_key")}
    except subprocess.TimeoutExpired:
        raise LocalError("the first project could not be made within a minute") from None
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise LocalError(f"the first project could not be made: {lines[-1]}") from None


def _start(settings: Settings, processes: Processes) -> None:
    begun = time.monotonic()
    progress = Progress()
    require_free(settings.port, "PORT")
    require_free(settings.aws_port, "AWS_PORT")
    model_port = free_port()
    # MODEL_URL: an OpenAI-compatible server of the user's (the URL ends in /v1), in place of the built-in model.
    external = os.environ.get("MODEL_URL")
    parameters = template_parameters(settings, external or f"http://{HOST}:{model_port}/v1")
    with progress.step("starting the model and MiniStack"):
        model = None if external else start_model(processes, model_port)
        ministack = start_ministack(processes, settings, parameters["ModelUrl"])
        digest = build_needed(settings)
        build = start_build(processes, settings) if digest else None
        if model:
            wait_model(processes, model, model_port)
        wait_ministack(processes, ministack, settings)
    with progress.step("building with SAM CLI" if build else "the build is up to date"):
        if build and digest:
            finish_build(processes, build, settings, digest)
    with progress.step("deploying the template to MiniStack"):
        deploy(processes, settings, parameters["ModelUrl"])
    with progress.step("completing what MiniStack's CloudFormation leaves out"):
        template = BuiltTemplate(settings.template, parameters)
        deployed = Deployed(settings)
        deployed.complete(template)
        deployed.leave_packed(template)
        deployed.verify_sender(template.value({"Ref": "MailFrom"}))
    with progress.step("starting the edge"):
        config = settings.scratch / "edge.json"
        write_private(config, edge_config(settings, template, parameters, deployed))
        wait_edge(processes, start_edge(processes, settings, config))
    with progress.step("creating the first project"):
        stack = _stack(settings, deployed, parameters["ModelUrl"])
        unfinished = settings.scratch / settings.stack_file.name  # without a key: scripts must not find it yet
        write_private(unfinished, stack)
        stack |= first_key(settings, unfinished)
    write_private(settings.stack_file, stack)
    _say_ready(settings, stack, time.monotonic() - begun)


def _stack(settings: Settings, deployed: Deployed, model_url: str) -> dict[str, Any]:
    return {
        "base_url": settings.base_url,
        "api_key": None,
        "project_id": None,
        "admin_url": None,
        "portal_url": settings.portal_url,
        "aws_endpoint_url": settings.aws_endpoint,
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        "account_id": ACCOUNT_ID,
        "region": REGION,
        "stack_name": STACK_NAME,
        "outputs": deployed.outputs(),
        "model_url": model_url,
        "pid": os.getpid(),
        "log_dir": str(settings.logs),
    }


def _say_ready(settings: Settings, stack: dict[str, Any], seconds: float) -> None:
    message = '[{"role": "user", "content": "Say hello."}]'
    print(f"ready {settings.base_url} after {seconds:.0f} s (Ctrl-C stops it; scripts read {settings.stack_file})")
    print(f"API key: {stack['api_key']}\n")
    if os.environ.get("MODEL_URL"):  # it may have been set for something else: nobody's messages go there unnoticed
        print(f"MODEL_URL is set: messages go to {stack['model_url']}, not to the built-in model\n")
    print("  from openai import OpenAI")
    print(f'  client = OpenAI(base_url="{settings.base_url}", api_key="{stack["api_key"]}")')
    print(f'  print(client.chat.completions.create(model="{MODEL}", messages={message}).choices[0].message.content)')
    sys.stdout.flush()


def own_directory(home: Path) -> None:
    """Make `home`, for the user alone. Raises LocalError unless it is new, empty or a stack's: we remove files."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()) and not (home / LOCK).exists():
            raise Refused(f"LOCAL must name a directory of its own; {home} holds other files")
        home.chmod(0o700)
    except OSError as error:
        raise LocalError(f"LOCAL cannot be {home}: {error.strerror}") from None


@contextmanager
def _only_one(settings: Settings) -> Iterator[TextIO]:
    """Hold the directory's lock, which the kernel frees however this process ends, and begin its logs anew."""
    own_directory(settings.home)
    with (settings.home / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"a stack already runs from {settings.home}; stop it (make stop) or choose another with LOCAL=DIR"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))  # for `make stop`: while the lock is held, this process id is its holder's
        lock.flush()
        shutil.rmtree(settings.logs, ignore_errors=True)
        settings.logs.mkdir()
        yield lock


def _last_word(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # the terminal is gone: that was the signal
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _on_signals() -> Any:
    caught: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    def interrupt() -> None:
        if caught:
            raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, remember)
    return interrupt


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
