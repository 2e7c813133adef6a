"""Starting and stopping the local stack: what a user sees, and that nothing is left behind.

A start takes a quarter of a minute, so the three signals are shared out: SIGTERM ends the suite's own stack (conftest),
Ctrl-C (SIGINT) that of the contract files (tests/support/live_stack.py), SIGHUP one that is still starting.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from local.settings import HOST
from tests.e2e.local_stack import LocalStack, RunningStack, assert_nothing_left, group_exists
from tests.support.live_stack import until


def test_what_a_killed_run_left_behind_is_ended_by_the_next_start_which_ends_with_its_servers(tmp_path: Path) -> None:
    # Given a supervisor that was killed, on ports that the next start wants again
    home = tmp_path / "home"
    place = LocalStack(home)
    with place.start() as killed:
        groups = place.recorded()
        assert len(groups) == 3
        killed.process.kill()
        killed.ended()
    assert (home / "stack.json").exists()

    with place.start() as running:
        assert [pid for pid in groups if group_exists(pid)] == []
        assert running.info.pid == running.process.pid
        groups = place.recorded()
        # And when a server of this one dies, the stack ends with its name and its log
        os.killpg(groups[0], signal.SIGKILL)  # the model, started first

        assert running.ended() == 1
    assert running.errors == f"chatapi: model ended with code -9; see {home.resolve()}/logs/model.log\n"
    assert_nothing_left(place, groups)


def test_a_start_that_is_hung_up_on_stops_everything_and_exits_0(tmp_path: Path) -> None:
    place = LocalStack(tmp_path / "home")
    with place.command() as process:
        assert process.stdout is not None
        until(lambda: (place.home / "processes.json").exists() and len(place.recorded()) >= 2, bool, 60)
        groups = place.recorded()
        process.send_signal(signal.SIGHUP)
        out, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert out.endswith("stopped\n")
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
