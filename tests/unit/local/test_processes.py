"""The children of a run: ended whole, found again after a crash, and never mistaken for a stranger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import processes as subject
from local.errors import LocalError
from local.processes import Processes, end_leftovers, started, write_private

# A parent and a child of its own, both holding a FIFO open: its reader sees the end when the last of them has gone.
FAMILY = """
import signal, subprocess, sys
fifo = open(sys.argv[1], "w")
{before}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[fifo.fileno()])
print("up", file=fifo, flush=True)
child.wait()
"""


@contextmanager
def family(processes: Processes, directory: Path, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    child = processes.start("family", [sys.executable, "-c", FAMILY.format(before=before), fifo], env=os.environ)
    yield child.process, fifo
    child.process.wait()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "processes.json"


@pytest.fixture
def processes(record: Path, tmp_path: Path) -> Processes:
    return Processes(record, tmp_path)


def test_stop_ends_a_child_with_all_that_it_started(processes: Processes, record: Path, tmp_path: Path) -> None:
    with family(processes, tmp_path) as (process, fifo), fifo.open() as alive:
        assert alive.readline() == "up\n"

        processes.stop()

        assert alive.read() == ""
        assert process.returncode == -signal.SIGTERM
    assert not record.exists()


def test_stop_ends_a_child_that_ignores_sigterm(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "GRACE", 0.1)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    with family(processes, tmp_path, deaf) as (process, fifo), fifo.open() as alive:
        assert alive.readline() == "up\n"

        processes.stop()

        assert alive.read() == ""
        assert process.returncode == -signal.SIGKILL


def test_what_a_killed_run_left_behind_is_ended(processes: Processes, record: Path, tmp_path: Path) -> None:
    # Given a run that ended without a stop: only its record knows the child.
    with family(processes, tmp_path) as (_, fifo), fifo.open() as alive:
        assert alive.readline() == "up\n"

        found = end_leftovers(record)

        assert found == ["family"]
        assert alive.read() == ""
    assert not record.exists()


def test_a_process_id_that_was_reused_is_not_signalled(record: Path) -> None:
    # Given a record whose process id now belongs to a process that started at another moment
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        moment = started(stranger.pid)
        write_private(record, [{"name": "model", "pid": stranger.pid, "started": f"not {moment}"}])

        found = end_leftovers(record)

        assert found == []
        assert started(stranger.pid) == moment
        stranger.communicate(b"\n")
    assert stranger.returncode == 0  # it ended by itself, not by a signal


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"pid": 1}]', '[{"name": "a", "pid": "x", "started": "y"}]'])
def test_a_record_that_cannot_be_read_ends_nothing(record: Path, content: str) -> None:
    record.write_text(content)

    assert end_leftovers(record) == []
    assert not record.exists()


def test_the_record_names_each_child_and_only_the_user_reads_it(
    processes: Processes, record: Path, tmp_path: Path
) -> None:
    with family(processes, tmp_path) as (process, fifo), fifo.open() as alive:
        alive.readline()

        entries = json.loads(record.read_text())

        assert entries == [{"name": "family", "pid": process.pid, "started": started(process.pid)}]
        assert record.stat().st_mode & 0o777 == 0o600
        processes.stop()


def test_a_process_that_has_ended_has_no_start() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert started(process.pid) is None


def test_waiting_for_a_child_that_dies_names_it_and_its_log(processes: Processes) -> None:
    child = processes.start("model", [sys.executable, "-c", "raise SystemExit(7)"], env=os.environ)

    with pytest.raises(LocalError, match=r"model ended with code 7; see .*model\.log"):
        processes.wait_ready(child, lambda: False, 60)
    processes.stop()


def test_waiting_ends_when_the_time_is_up(processes: Processes) -> None:
    child = processes.start("model", [sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ)

    with pytest.raises(LocalError, match="model was not ready after 0 s"):
        processes.wait_ready(child, lambda: False, 0)
    processes.stop()


def test_an_interrupt_ends_the_wait(record: Path, tmp_path: Path) -> None:
    class AskedToStop(Exception):
        pass

    def interrupt() -> None:
        raise AskedToStop

    processes = Processes(record, tmp_path, interrupt)
    child = processes.start("build", [sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ)

    with pytest.raises(AskedToStop):
        processes.finish(child)
    processes.stop()
    assert child.process.returncode == -signal.SIGTERM


def test_after_a_killed_supervisor_its_children_end_at_the_next_start_at_the_latest(
    record: Path, tmp_path: Path
) -> None:
    # Given a supervisor that is killed without a chance to stop anything (on Linux the kernel ends its children then)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom local.processes import Processes\n"
        "child = Processes(Path(sys.argv[1]), Path(sys.argv[2])).start('child', sys.argv[3:], env=os.environ)\n"
        "child.process.wait()\n"
    )
    sleeper = "import sys, time\nfifo = open(sys.argv[1], 'w')\nprint('up', file=fifo, flush=True)\ntime.sleep(600)"
    command = [sys.executable, "-c", script, record, tmp_path, sys.executable, "-c", sleeper, fifo]
    with subprocess.Popen(command, cwd=Path(subject.__file__).parent.parent) as supervisor, fifo.open() as alive:
        assert alive.readline() == "up\n"
        supervisor.kill()
        supervisor.wait()

        end_leftovers(record)

        assert alive.read() == ""
