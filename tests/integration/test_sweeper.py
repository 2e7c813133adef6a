"""Story: what has expired is physically gone after a sweep, and nothing else is (RET-1)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from chatapi.aws.errors import AwsError
from chatapi.store.dynamo import DynamoTable
from privacy import sweeper
from privacy.sweeper import GRACE_SECONDS, SweepFailed, sweep
from tests.support.deployed import Deployed

_NOW = time.time()


class Context:
    def __init__(self, left: int = 900_000) -> None:
        self.left = left

    def get_remaining_time_in_millis(self) -> int:
        return self.left


@pytest.fixture
def configured(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    for name, value in deployed.functions["sweeper"].items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(sweeper._composed, "made", None)
    return deployed


def row(number: int, ttl: float) -> dict[str, Any]:
    return {"pk": "s#p#sub#1", "sk": f"completion#{number:04d}#0000", "body": b"x" * 300, "ttl": int(ttl)}


def test_the_scheduled_function_deletes_what_outlived_the_grace(
    configured: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    client = configured.client("dynamodb")
    tables = {s: DynamoTable(client, configured.outputs[f"{s}Table"], now=lambda: 0.0) for s in ("Records", "Requests")}
    old, young, live = _NOW - GRACE_SECONDS - 60, _NOW - GRACE_SECONDS + 3600, _NOW + 3600
    tables["Records"].put_all([row(n, [old, young, live][n % 3]) for n in range(90)])
    tables["Records"].put({"pk": "s#p#sub#1", "sk": "no term"})
    tables["Requests"].put({"pk": "r#p", "sk": "dsr_1", "ttl": int(old)})
    found = {line["store"]: line for line in sweeper.handler({}, Context())["stores"]}
    assert {store: (line["deleted"], line["left"]) for store, line in found.items()} == {
        "projects": (0, 0),
        "records": (30, 0),
        "requests": (1, 0),
        "signals": (0, 0),
        "patterns": (0, 0),
    }
    assert all(line["complete"] for line in found.values())
    left = tables["Records"].query("s#p#sub#1", expired=True)
    assert len(left) == 61
    assert "completion" not in capsys.readouterr().out
    again = sweeper.handler({}, Context())["stores"]
    assert sum(line["deleted"] for line in again) == 0


def test_segments_together_cover_the_table(configured: Deployed) -> None:
    client, table = configured.client("dynamodb"), configured.outputs["SignalsTable"]
    rows = DynamoTable(client, table, sort=None)
    for number in range(20):
        rows.put({"pk": f"sig{number}", "ttl": 1})
    swept = [sweep(client, "signals", table, ("pk",), _NOW, segment=(n, 3)) for n in range(3)]
    assert sum(one.deleted for one in swept) == 20
    assert {one.left for one in swept} == {0}


class Stub:
    """Pages of expired rows without end; `rewritten`: the delete finds the row written anew."""

    def __init__(self, rows: int = 1, *, rewritten: bool = False, denied: bool = False) -> None:
        self.rows, self.rewritten, self.denied, self.deleted, self.last = rows, rewritten, denied, 0, False

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self.denied:
            raise AwsError("AccessDeniedException", 400)
        if operation == "Scan":
            page = {"Items": [{"pk": {"S": "a"}}] * self.rows}
            return page if self.last else {**page, "LastEvaluatedKey": {"pk": {"S": "a"}}}
        if self.rewritten:
            raise AwsError("ConditionalCheckFailedException", 400)
        self.deleted += 1
        return {}


def test_a_run_without_time_says_that_it_is_not_through() -> None:
    for rows in (1, 500):  # its time may be up within a page
        stub, budget = Stub(rows), iter([True, False])
        swept = sweep(stub, "records", "t", ("pk",), _NOW, more_time=lambda budget=budget: next(budget))
        assert (swept.deleted, stub.deleted, swept.complete) == (1, 1, False)


def test_what_a_sweep_leaves_is_told_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    from chatapi.clock import FixedClock

    stub = Stub(rewritten=True)
    stub.last = True
    sweeper.run(sweeper._Ports(stub, FixedClock(), {"records": ("t", ("pk",))}, 1), lambda: True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["store"], line["count"]) for line in lines] == [
        ("swept", "records", 0),
        ("expired_left", "records", 1),
    ]


def test_a_row_that_was_written_anew_stays_and_a_refusal_fails_without_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = iter([True, False])
    assert sweep(Stub(rewritten=True), "r", "t", ("pk",), _NOW, more_time=lambda: next(budget)).deleted == 0
    from chatapi.clock import SystemClock

    ports = sweeper._Ports(Stub(denied=True), SystemClock(), {"records": ("t", ("pk",))}, 1)
    monkeypatch.setattr(sweeper._composed, "made", ports)
    with pytest.raises(SweepFailed) as caught:
        sweeper.handler({}, Context())
    assert caught.value.__cause__ is None
    assert '"code":"AccessDeniedException"' in capsys.readouterr().out
