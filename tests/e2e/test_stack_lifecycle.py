"""Starting and stopping the local stack: what a user sees, and that nothing is left behind.

A start takes a quarter of a minute, so the three signals are shared out: SIGTERM ends the suite's own stack (conftest).
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from local.ports import require_free
from local.settings import HOST
from tests.e2e.local_stack import LocalStack, RunningStack, group_exists


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose build the starts of this file share."""
    return tmp_path_factory.mktemp("lifecycle")


def processes_of(home: Path) -> list[str]:
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


def assert_nothing_left(place: LocalStack, groups: list[int]) -> None:
    assert [pid for pid in groups if group_exists(pid)] == []
    assert processes_of(place.home) == []
    assert not (place.home / "stack.json").exists()
    assert not (place.home / "processes.json").exists()
    assert not (place.home / "run").exists()
    require_free(place.port, "PORT")
    require_free(place.aws_port, "AWS_PORT")


def test_ctrl_c_stops_everything_and_exits_0(home: Path) -> None:
    place = LocalStack(home)
    with place.start() as running:
        groups = place.recorded()
        assert len(groups) == 3

        assert running.stop(signal.SIGINT) == 0

    assert running.printed[-1].endswith("stopped\n")
    assert_nothing_left(place, groups)


def test_what_a_killed_run_left_behind_is_ended_by_the_next_start_which_sighup_stops(home: Path) -> None:
    # Given a supervisor that was killed, on ports that the next start wants again
    place = LocalStack(home)
    with place.start() as killed:
        groups = place.recorded()
        killed.process.kill()
        killed.ended()
    assert (home / "stack.json").exists()

    with place.start() as running:
        assert [pid for pid in groups if group_exists(pid)] == []
        assert running.info.pid == running.process.pid
        groups = place.recorded()
        assert running.stop(signal.SIGHUP) == 0

    assert_nothing_left(place, groups)


def test_a_server_that_dies_ends_the_stack_with_its_name_and_its_log(home: Path) -> None:
    place = LocalStack(home)
    with place.start() as running:
        groups = place.recorded()

        os.killpg(groups[0], signal.SIGKILL)  # the model, started first

        assert running.ended() == 1
    assert running.errors == f"chatapi: model ended with code -9; see {home.resolve()}/logs/model.log\n"
    assert_nothing_left(place, groups)


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT"])
def test_a_busy_port_is_one_line_and_exit_code_3(tmp_path: Path, variable: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]

        code, out, err = LocalStack(tmp_path / "home").refused(**{variable: port})

    assert code == 3
    assert out == ""
    assert err == f"chatapi: port {port} is in use; choose another with {variable}=NUMBER\n"


def test_a_second_start_from_the_same_directory_is_refused(stack: RunningStack) -> None:
    before = stack.place.recorded()

    code, out, err = LocalStack(stack.place.home).refused()

    assert code == 3
    assert out == ""
    assert err.startswith("chatapi: a stack already runs from ")
    assert err.count("\n") == 1
    assert stack.place.recorded() == before


def test_stack_json_is_the_users_alone(stack: RunningStack) -> None:
    assert (stack.place.home / "stack.json").stat().st_mode & 0o777 == 0o600
    assert stack.place.home.stat().st_mode & 0o777 == 0o700


def test_no_server_listens_beyond_loopback(stack: RunningStack) -> None:
    # An address of this machine that is not loopback, where there is one: nothing may answer there.
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    model_port = int(stack.info.model_url.rsplit(":", 1)[1].split("/")[0])
    for address in {"127.0.0.2", *addresses} - {HOST}:
        for port in (stack.place.port, stack.place.aws_port, model_port):
            with socket.socket() as probe:
                probe.settimeout(2)
                assert probe.connect_ex((str(address), port)) != 0


def test_what_cloudformation_left_out_here_was_applied(stack: RunningStack) -> None:
    tables, outputs = stack.aws("dynamodb"), stack.info.outputs

    records = tables.describe_time_to_live(TableName=outputs["RecordsTable"])["TimeToLiveDescription"]
    vault = tables.describe_continuous_backups(TableName=outputs["VaultTable"])["ContinuousBackupsDescription"]

    assert records == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert vault["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
