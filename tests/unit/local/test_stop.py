"""`make stop` after a run that was killed: what it left behind is ended and removed, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local import stop
from local.processes import started
from local.settings import LOCK


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCAL", str(tmp_path))
    (tmp_path / LOCK).write_text("1")
    (tmp_path / "run").mkdir()
    (tmp_path / "stack.json").write_text("{}")
    return tmp_path


def test_what_a_killed_run_left_behind_is_ended_and_removed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a process that outlived its supervisor
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(wait, start_new_session=True) as left:
        try:
            entry = {"name": "edge", "pid": left.pid, "started": started(left.pid)}
            (home / "processes.json").write_text(json.dumps([entry]))
            # when
            code = stop.main()
            # then
            assert (code, capsys.readouterr().out) == (0, "stopped\n")
            assert left.wait(10) != 0
            assert sorted(file.name for file in home.iterdir()) == [LOCK]
        finally:
            left.kill()


def test_a_directory_without_a_record_of_processes_is_left_as_it_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (stop.main(), capsys.readouterr().out) == (0, "no stack runs\n")
    assert (home / "run").exists()
    assert (home / "stack.json").exists()
