"""Story: a backup of the records is restored, and nothing that was erased, deleted or corrected since comes back.

With the command, the auditors' decryptor, and moto's own backups behind the wire.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

import chatapi_cli.restore
from chatapi.aws.av import from_item
from chatapi.aws.client import AwsClient
from chatapi.aws.errors import AwsError
from chatapi.catalogue import Catalogued
from chatapi.clock import SystemClock
from chatapi.errors import NotFound, SubjectErased
from chatapi.store.completions import Completions
from chatapi.store.days import Days
from chatapi.store.dynamo import DynamoTable
from chatapi.store.marks import Marks
from chatapi.store.records import Records
from chatapi.vault import Vault, key_context
from chatapi.vault.dynamo import DynamoWraps
from chatapi.vault.kms import KmsKeys
from tests.support.deployed import Deployed
from tests.support.transformed import REGION
from tests.unit.vault.independent import tool

PROJECT = "prjrstor"


@dataclass
class Target:
    """What the command finds."""

    stack: Deployed
    region: str = REGION

    def client(self, service: str) -> AwsClient:
        return self.stack.client(service)

    def output(self, name: str) -> str:
        return self.stack.outputs[name]


class World:
    def __init__(self, stack: Deployed) -> None:
        self.stack, clock = stack, SystemClock()
        self.client = stack.client("dynamodb")
        self.wraps = DynamoWraps(self.client, stack.outputs["VaultTable"])
        self.keys = KmsKeys(stack.client("kms"), stack.outputs["EpochKey"])
        self.vault = Vault(self.wraps, self.keys, clock)
        records = Catalogued(DynamoTable(self.client, stack.outputs["RecordsTable"]), "records")
        self.requests = DynamoTable(self.client, stack.outputs["RequestsTable"])
        marks = Marks(Catalogued(self.requests, "requests"), clock)
        self.records = Records(records, self.vault, marks, clock)
        self.completions = Completions(records, self.vault, marks, clock)
        self.days = Days(records, clock)

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.client.call("Scan", {"TableName": table})["Items"]
        return [item for wire in found if PROJECT in (item := from_item(wire))["pk"]]

    def erase(self, subject: str) -> bytes:
        """As the workflow does; the key that dies, as somebody may have kept it of a warm function's memory."""
        item = self.wraps.get(PROJECT, subject)
        assert item is not None
        key = self.keys.unwrap(item.wraps[1], key_context(PROJECT, subject, 1), item.key_arn)
        self.wraps.freeze(PROJECT, subject, 1, "dsr_1")
        self.wraps.destroy(PROJECT, subject, 1, time.time() + 1, "dsr_1")
        table = DynamoTable(self.client, self.stack.outputs["RecordsTable"])
        for row in self.rows(self.stack.outputs["RecordsTable"]):
            if subject in row["pk"] or row.get("subject") == subject:
                table.delete_all([(row["pk"], row["sk"])])
        return key


def run(*words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(chatapi_cli.restore.app, words)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if "--json" in words else done.output


@pytest.fixture
def world(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(chatapi_cli.restore, "find", lambda name: Target(deployed))
    return World(deployed)


def test_a_backup_comes_back_without_what_was_erased_deleted_or_corrected(world: World) -> None:
    live = world.stack.outputs["RecordsTable"]
    # given a backup that holds everything
    alice, bob = (world.records.writer(PROJECT, name) for name in ("sub_alice", "sub_bob"))
    world.completions.save(alice, "chatcmpl-alice", b"alice's canary")
    world.completions.save(bob, "chatcmpl-bob", b"bob's")
    world.completions.save(bob, "chatcmpl-gone", b"to be deleted")
    for handle in (alice, bob):
        world.days.disclose(PROJECT, handle.subject, "local-model", 1, 2)
    world.days.disclose(PROJECT, "sub_carol", "local-model", 1, 2)  # never stored anything: no key, no tombstone
    (fixed, lost) = world.records.put(bob, "conversation", [("conv_fixed", b"wrong"), ("conv_lost", b"kept")])
    backup = world.client.call("CreateBackup", {"TableName": live, "BackupName": "b"})["BackupDetails"]["BackupArn"]
    before = world.rows(live)
    # when an erasure, a deletion, a correction and an accident have happened since
    key = world.erase("sub_alice")
    case = {"pk": f"r#{PROJECT}", "sk": "dsr_2", "type": "erasure", "stage": "irreversible", "subjects": ["sub_carol"]}
    world.requests.put({**case, "inventory": {"at": int(time.time()) + 1}})
    world.completions.delete(PROJECT, "chatcmpl-gone")
    world.records.update(bob, fixed, b"right")
    world.requests.put({**case, "sk": "dsr_3", "stage": "reversible", "subjects": ["sub_bob"]})
    DynamoTable(world.client, live).delete_all([(row["pk"], row["sk"]) for row in before if "conv_lost" in row["sk"]])
    # and the backup is restored
    table = run("begin", "--backup", backup, "--json")["table"]
    assert len(world.rows(table)) == len(before)
    assert "not replayed yet" in run("release", table, code=1)
    counts = run("replay", table, "--json")
    # then the quarantined table holds nothing that may not come back
    assert (counts["left"], counts["deleted"]) == (0, 3)  # the deleted one, its locator, the former revision
    names = {(row["pk"], row["sk"]) for row in world.rows(table)}
    assert not any("alice" in part or "carol" in part or "gone" in part for pair in names for part in pair)
    assert not any(row["pk"] == f"l#{PROJECT}" and row["subject"] == "sub_alice" for row in world.rows(table))
    described = world.client.call("DescribeTimeToLive", {"TableName": table})["TimeToLiveDescription"]
    assert described["TimeToLiveStatus"] == "ENABLED"
    pitr = world.client.call("DescribeContinuousBackups", {"TableName": table})["ContinuousBackupsDescription"]
    assert pitr["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    # and what was lost by accident is back, once, however often it is asked for
    given = run("release", table, "--json")
    assert (given["given_back"], given["refused"]) == (2, 0)
    assert run("release", table, "--json")["given_back"] == 0
    assert world.records.find(PROJECT, "conversation", lost.id)[1].body == b"kept"
    assert world.records.find(PROJECT, "conversation", fixed.id)[1].body == b"right"
    assert world.completions.load(PROJECT, "chatcmpl-bob").body == b"bob's"
    for name, error in (("chatcmpl-gone", NotFound), ("chatcmpl-alice", NotFound)):
        with pytest.raises(error):
            world.completions.load(PROJECT, name)
    with pytest.raises(SubjectErased):
        world.vault.reader(PROJECT, "sub_alice", 1)
    assert "deleted" in run("discard", table)
    # The rows in the backup itself were readable as long as the key was: with the key they were alice's, and the key is
    # in no store any more. That is what irrecoverable_after waits for.
    old = [row for row in before if "alice" in row["sk"] and "body" in row]
    assert [line["opens"] for line in tool.open_rows(key, 1, old)] == [True]
    item = world.wraps.get(PROJECT, "sub_alice")
    assert item is not None
    assert item.wraps == {}


class Restoring:
    """DynamoDB as AWS has it while a table is being restored: described, and neither tagged nor read."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        if operation in ("TagResource", "ListTagsOfResource", "Scan"):
            raise AwsError("ResourceNotFoundException", 400)
        answer = self._client.call(operation, payload)
        if operation == "DescribeTable" and "-quarantine-" in payload["TableName"]:
            answer["Table"]["TableStatus"] = "CREATING"
        return answer


def test_a_table_that_is_still_being_restored_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    live = world.stack.outputs["RecordsTable"]
    backup = world.client.call("CreateBackup", {"TableName": live, "BackupName": "d"})["BackupDetails"]["BackupArn"]
    with monkeypatch.context() as restoring:
        restoring.setattr(Target, "client", lambda self, service: Restoring(world.client))
        table = run("begin", "--backup", backup, "--json")["table"]
        for command in ("replay", "release", "discard"):
            assert "when it is ACTIVE" in run(command, table, code=1)
    assert run("replay", table, "--json")["left"] == 0
    assert "deleted" in run("discard", table)


def test_only_a_quarantined_table_is_touched(world: World) -> None:
    for table in (
        world.stack.outputs["RecordsTable"],
        world.stack.outputs["VaultTable"],
        "x-quarantine-20260101000000",
    ):
        for command in ("replay", "discard"):
            assert "not a quarantined table" in run(command, table, code=1)
        assert "not replayed" in run("release", table, code=1)


def test_an_erasure_during_the_release_takes_the_copy_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatapi_cli import replay

    live = world.stack.outputs["RecordsTable"]
    dora = world.records.writer(PROJECT, "sub_dora")
    world.completions.save(dora, "chatcmpl-dora", b"dora's")
    backup = world.client.call("CreateBackup", {"TableName": live, "BackupName": "c"})["BackupDetails"]["BackupArn"]
    DynamoTable(world.client, live).delete_all(
        [(row["pk"], row["sk"]) for row in world.rows(live) if "dora" in row["pk"] + row["sk"]]
    )
    table = run("begin", "--backup", backup, "--json")["table"]
    run("replay", table)
    inner = replay._put

    def put(client: Any, name: str, row: Any) -> bool:
        written = inner(client, name, row)
        if world.wraps.get(PROJECT, "sub_dora").wraps:  # type: ignore[union-attr]
            world.wraps.freeze(PROJECT, "sub_dora", 1, "dsr_9")
            world.wraps.destroy(PROJECT, "sub_dora", 1, time.time(), "dsr_9")
        return written

    monkeypatch.setattr(replay, "_put", put)
    assert run("release", table, "--json")["given_back"] == 0
    assert not [row for row in world.rows(live) if "dora" in row["pk"] + row["sk"]]
