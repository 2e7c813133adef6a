"""Child processes: started in groups of their own, recorded on disk, ended in order, and found again after a crash.

A record is a process id and the moment it started. The id alone proves nothing: after a crash the kernel may have
given it to a stranger, and a stranger is never signalled.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
PR_SET_PDEATHSIG = 1  # prctl(2)
POLL = 0.05


@dataclass(frozen=True)
class Child:
    """A running child: its name for the user, its process (leader of its own group), its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None


class Processes:
    """The children of one run, in the order they were started.

    Args:
        record: the file that remembers them, for `end_leftovers`.
        logs: the directory of their logs.
        interrupt: called all the while something is waited for; what it raises ends the wait.
    """

    def __init__(self, record: Path, logs: Path, interrupt: Callable[[], None] = lambda: None) -> None:
        self._record = record
        self._logs = logs
        self._interrupt = interrupt
        self._children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> Child:
        """Start `command` with its output in the log `name`.log. Call from the main thread: the kernel ends the
        child when the thread that started it ends (Linux).
        """
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches us alone: we end them in order
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has no other thread
            )
        child = Child(name, process, log)
        self._children.append(child)
        self._save()
        return child

    def finish(self, child: Child) -> int:
        """Wait for a child that ends by itself; its exit code."""
        while child.running():
            self._interrupt()
            time.sleep(POLL)
        self._children.remove(child)
        self._save()
        return int(child.process.returncode)

    def wait_ready(self, child: Child, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`. Raises LocalError when `child` ends before or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            self._interrupt()
            if not child.running():
                raise LocalError(f"{child.name} ended with code {child.process.returncode}; see {child.log}")
            if time.monotonic() > deadline:
                raise LocalError(f"{child.name} was not ready after {seconds:.0f} s; see {child.log}")
            time.sleep(POLL)

    def watch(self) -> Child:
        """Wait until a child ends, which none should; the child."""
        while True:
            for child in self._children:
                if not child.running():
                    return child
            self._interrupt()
            time.sleep(POLL)

    def stop(self) -> None:
        """End every child and its group, the last started first, and remove the record."""
        while self._children:
            _end_group(self._children[-1])
            self._children.pop()
        self._record.unlink(missing_ok=True)

    def _save(self) -> None:
        entries = [
            {"name": child.name, "pid": child.process.pid, "started": started(child.process.pid)}
            for child in self._children
        ]
        write_private(self._record, entries)


def end_leftovers(record: Path) -> list[str]:
    """End what an earlier run, killed before it could stop, left behind; the names of what was found.

    A record that cannot be read, or a process id that now belongs to another process, is left alone.
    """
    try:
        entries = [(str(e["name"]), int(e["pid"]), str(e["started"])) for e in json.loads(record.read_text())]
    except (OSError, ValueError, TypeError, KeyError):
        entries = []
    found = [(name, pid, moment) for name, pid, moment in entries if started(pid) == moment]
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for _, pid, moment in found:
            if started(pid) == moment:
                _signal_group(pid, signal_number)
        _wait(lambda: not any(started(pid) == moment for _, pid, moment in found), GRACE)
    record.unlink(missing_ok=True)
    return [name for name, _, _ in found]


def started(pid: int) -> str | None:
    """When process `pid` started, as an opaque text that no other process with this id ever has; None if it is gone.

    Linux: boot id and clock ticks since boot (proc(5), field 22 of stat). Elsewhere: ps(1).
    """
    if sys.platform == "linux":
        try:
            # The command name, in brackets, may hold spaces and brackets: split behind the last one.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (OSError, ValueError):
            return None
        return None if fields[0] == "Z" else f"{boot}:{fields[19]}"
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, moment = shown.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else moment.strip()


def write_private(path: Path, value: Any) -> None:
    """Write JSON that only the user may read; readers see the old file or the new one, never a part."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=2)
    partial.replace(path)


def _end_group(child: Child) -> None:
    pid = child.process.pid
    if child.running():
        _signal_group(pid, signal.SIGTERM)
        _wait(lambda: not child.running(), GRACE)
    # What it started and did not end itself is still in its group, whose number stays taken until the last has gone.
    _signal_group(pid, signal.SIGKILL)
    child.process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL)


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    # Kept across exec. SIGTERM, so that the child can end its own children.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
