"""Setting up environments: made once per lock, made again after an interruption, and one clear line when it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local import setup as subject
from local.setup import Environment

ROOT = Path(subject.__file__).parent.parent
NOWHERE = "http://127.0.0.1:1/index"  # nobody listens on port 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own: the set-up script and one lock that names one package."""
    for name in ("local/setup.py", "local/supported.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "sam.txt").write_text(f"idna==3.10 --hash=sha256:{'0' * 64}\n")
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(project), "PIP_CONFIG_FILE": os.devnull}
    env |= {"PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0", "PIP_TIMEOUT": "1"}
    env |= {"UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": NOWHERE, "UV_HTTP_TIMEOUT": "1", "UV_HTTP_RETRIES": "0"}
    command = [sys.executable, "-I", "local/setup.py", *arguments]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


def test_an_index_that_cannot_be_reached_is_one_line_and_no_environment(project: Path) -> None:
    done = run(project, "sam")

    assert done.returncode == 1
    log = project / ".tools" / "logs" / "sam.log"
    assert done.stderr == f"chatapi: the package index cannot be reached to install SAM CLI; see {log}\n"
    assert log.exists()
    assert not (project / ".tools" / "sam" / ".stamp").exists()


def test_progress_is_shown(project: Path) -> None:
    assert run(project, "sam").stdout == "[1/1] installing SAM CLI (first time only) …\n"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("error: Request failed after 3 retries\n  Caused by: dns error: failed to lookup", "cannot be reached"),
        ("The virtual environment was not created because ensurepip is not available.", "python3-venv"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "could not be installed; see"),
    ],
)
def test_each_failure_says_what_to_do_in_one_line(
    said: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an installer that fails with these words
    monkeypatch.setattr(subject, "TOOLS", tmp_path)
    (tmp_path / "logs").mkdir()

    def failing(command: list[str], log: Path) -> bool:
        log.write_text(f"Traceback (most recent call last):\n{said}\n")
        return False

    monkeypatch.setattr(subject, "_run", failing)

    with pytest.raises(subject.SetupError) as error:
        subject.set_up([Environment("stack", "MiniStack", tmp_path / "stack")])

    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_an_environment_is_ready_only_with_the_stamp_of_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ROOT", tmp_path)
    lock = tmp_path / "requirements" / "stack.txt"
    lock.parent.mkdir()
    lock.write_text("a==1\n")
    environment = Environment("stack", "MiniStack", tmp_path / "stack")
    environment.path.mkdir()

    assert not environment.ready()  # interrupted: everything but the stamp

    (environment.path / ".stamp").write_text(environment.stamp())
    assert environment.ready()

    lock.write_text("a==2\n")
    assert not environment.ready()


def test_what_is_ready_is_not_made_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Environment, "ready", lambda self: True)
    monkeypatch.setattr(subject, "_run", lambda command, log: pytest.fail("an installer was started"))

    subject.set_up(list(subject.ENVIRONMENTS.values()))

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("version", "system", "code"),
    [
        ("(3, 10, 14)", "linux", 2),
        ("(3, 14, 0)", "linux", 2),
        ("(2, 7, 18)", "darwin", 2),
        ("(3, 12, 1)", "win32", 2),
        ("(3, 11, 0)", "linux", 0),
        ("(3, 13, 9)", "darwin", 0),
    ],
)
def test_elsewhere_one_line_and_exit_code_2(version: str, system: str, code: int) -> None:
    source = (ROOT / "local" / "supported.py").read_text()
    script = f"import sys\nsys.version_info, sys.platform = {version}, {system!r}\nexec({source!r})"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.count("\n") == (1 if code else 0)
    assert not code or "chatapi needs Python 3.11, 3.12 or 3.13 on Linux or macOS" in done.stderr
