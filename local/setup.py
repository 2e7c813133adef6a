"""Sets up what a `make` target needs: `python3 local/setup.py dev sam stack runtime`. Standard library alone.

Each environment is made of one lock file, requirements/NAME.txt, hashed and complete. A stamp inside it, written last,
holds what it was made of: an interrupted set-up has none and is made again, an unchanged one costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
# Not the virtual environment that may be active: it may be the very one to make.
PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
RECIPE = "1"  # raise it when this file makes environments in another way
IMPORT_ROOTS = ("layers/core", "layers/runtime", "functions", "cli", ".")
# What pip and uv say when no connection to the package index comes about.
UNREACHABLE = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Could not connect",
    "Connection refused",
    "Connection reset",
    "dns error",
    "error sending request",
    "ProxyError",
    "(from versions: none)",  # all that pip says where retries are off
)


class SetupError(Exception):
    """An environment could not be made; the text is the line to show."""


@dataclass(frozen=True)
class Environment:
    """One set of packages: its lock, the directory it goes into, and whether that is a virtual environment."""

    name: str
    what: str
    path: Path
    virtual: bool = True

    @property
    def lock(self) -> Path:
        """The hashed requirements."""
        return ROOT / "requirements" / f"{self.name}.txt"

    @property
    def log(self) -> Path:
        """What the installer said."""
        return TOOLS / "logs" / f"{self.name}.log"

    @property
    def python(self) -> Path:
        """The interpreter of a virtual environment."""
        return self.path / "bin" / "python"

    def stamp(self) -> str:
        """What this environment is made of: lock, Python, place, recipe."""
        made_of = (self.lock.read_text(), sys.version, PYTHON, str(ROOT), RECIPE)
        return hashlib.sha256("\n".join(made_of).encode()).hexdigest()

    def ready(self) -> bool:
        """Whether it is set up, from the lock as it is now."""
        try:
            return (self.path / ".stamp").read_text() == self.stamp()
        except OSError:
            return False


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("dev", "the product's packages and the tools around them", ROOT / ".venv"),
        Environment("sam", "SAM CLI", TOOLS / "sam"),
        Environment("stack", "MiniStack and the model", TOOLS / "stack"),
        Environment("runtime", "Lambda's runtime client", TOOLS / "runtime", virtual=False),
        Environment("clients", "the clients of the contract suite", TOOLS / "clients"),
        Environment("peers", "the gateways and libraries that the product is measured beside", TOOLS / "peers"),
        Environment("layer", "the third-party layer, for the contract suite", TOOLS / "layer", virtual=False),
    )
}


def main(names: list[str]) -> int:
    """Set up the environments `names`; the exit code."""
    try:
        (TOOLS / "logs").mkdir(parents=True, exist_ok=True)
        with (TOOLS / "lock").open("w") as lock:
            # Two `make`s at once: the second waits, then finds all done. The installers hold the lock too, so that
            # one which outlives a killed set-up is waited for.
            os.set_inheritable(lock.fileno(), True)
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up([ENVIRONMENTS[name] for name in names])
    except SetupError as error:
        print(f"chatapi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("chatapi: set-up interrupted; the next make goes on from here", file=sys.stderr)
        return 130
    return 0


def set_up(wanted: list[Environment]) -> None:
    """Make those of `wanted` that are not ready, two at a time. Raises SetupError."""
    missing = [environment for environment in wanted if not environment.ready()]
    progress = Progress(len(missing))
    for virtual in (True, False):  # the plain directories last: the pip of .venv fills them
        with ThreadPoolExecutor(max_workers=2) as pool:
            jobs = [pool.submit(make, each, progress) for each in missing if each.virtual == virtual]
        for job in jobs:
            job.result()


class Progress:
    """Numbered lines about installations that run side by side."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = 0
        self._lock = threading.Lock()

    def begin(self, what: str) -> str:
        """Say that `what` begins; its number, to end with."""
        with self._lock:
            self._begun += 1
            number = f"[{self._begun}/{self._total}]"
            print(f"{number} installing {what} (first time only) …", flush=True)
            return number

    def end(self, number: str, what: str, seconds: float) -> None:
        """Say that `what` is there."""
        with self._lock:
            print(f"{number} {what}: {seconds:.0f} s", flush=True)


def make(environment: Environment, progress: Progress) -> None:
    """Make one environment anew, by uv where it is there, else by pip. Raises SetupError."""
    number = progress.begin(environment.what)
    begun = time.monotonic()
    environment.log.unlink(missing_ok=True)
    uv = shutil.which("uv")
    # uv reads settings of its own: where only pip knows the way to an index, pip has the second word.
    if not ((uv and _make(environment, uv)) or _make(environment, None)):
        raise SetupError(_reason(environment))
    if environment.name == "dev":
        _add_project(environment)
    (environment.path / ".stamp").write_text(environment.stamp())
    progress.end(number, environment.what, time.monotonic() - begun)


def _make(environment: Environment, uv: str | None) -> bool:
    shutil.rmtree(environment.path, ignore_errors=True)
    # --no-deps: the lock is complete, and names packages that their dependents would add only to run what we do not.
    locked = ["--no-deps", "--require-hashes", "-r", str(environment.lock)]
    python = str(environment.python)
    if environment.virtual:
        create = [uv, "venv", "-q", "--python", PYTHON] if uv else [PYTHON, "-m", "venv"]
        if not _run([*create, str(environment.path)], environment.log):
            return False
    else:
        locked = ["--target", str(environment.path), *locked]
        python = str(ENVIRONMENTS["dev"].python)
    if uv:
        return _run([uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *locked], environment.log)
    pip = [python, "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check", "--no-input"]
    return _run([*pip, *locked], environment.log)


def _reason(environment: Environment) -> str:
    said = environment.log.read_text(errors="replace")
    if "ensurepip" in said:
        return "this Python has no venv module with pip; install it (on Debian: python3-venv), or uv"
    if any(sign in said for sign in UNREACHABLE):
        return f"the package index cannot be reached to install {environment.what}; see {environment.log}"
    return f"{environment.what} could not be installed; see {environment.log}"


def _add_project(environment: Environment) -> None:
    """The project's own packages by path, and its command."""
    site = next((environment.path / "lib").glob("python3.*")) / "site-packages"
    (site / "chatapi.pth").write_text("".join(f"{(ROOT / place).resolve()}\n" for place in IMPORT_ROOTS))
    command = environment.path / "bin" / "chatapi"
    # sh starts Python: the path in a #! line may have neither spaces nor more than 127 characters.
    command.write_text(
        f"#!/bin/sh\n'''exec' \"{environment.python}\" \"$0\" \"$@\"\n' '''\n"
        "import sys\n\nfrom chatapi_cli.main import main\n\nsys.exit(main())\n"
    )
    command.chmod(0o755)


def _run(command: list[str], log: Path) -> bool:
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            close_fds=False,
            check=False,
        )
    return done.returncode == 0


def _environment() -> dict[str, str]:
    # A virtual environment or module path of the user's must not leak into ours.
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
