"""`chatapi restore …`: a backup of the Records table, quarantined until the erasures are replayed into it.

The runbook is docs/restore.md. Each step is idempotent and says what comes next. A table's name says that it is
quarantined and a tag that the erasures were replayed into it, so another operator, or a run after Ctrl-C, goes on from
there. (The name, since DynamoDB takes no tag of a table that is still being restored.)
"""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

import typer

from chatapi.aws.client import AwsClient
from chatapi.aws.errors import AwsError
from chatapi.catalogue import read_policy
from chatapi.clock import SystemClock
from chatapi_cli.replay import Ledger, give_back, replay
from chatapi_cli.say import AsJson, Stack, fail, say
from chatapi_cli.target import Target, find

app = typer.Typer(no_args_is_help=True, help="Restore the Records table without bringing back what was erased.")

TAG = "chatapi-restore"
RESTORING, QUARANTINED, REPLAYED = "restoring", "quarantined", "replayed"

Table = Annotated[str, typer.Argument(help="The quarantined table, as 'begin' printed it.")]


class Drill:
    """A restore of one stack."""

    def __init__(self, stack: Target) -> None:
        self.client: AwsClient = stack.client("dynamodb")
        self.records = stack.output("RecordsTable")
        self.ledger = Ledger(
            self.client,
            vault=stack.output("VaultTable"),
            requests=stack.output("RequestsTable"),
            records=self.records,
            clock=SystemClock(),
        )

    def describe(self, table: str) -> dict[str, Any]:
        """DynamoDB's description of a table."""
        described: dict[str, Any] = self.client.call("DescribeTable", {"TableName": table})["Table"]
        return described

    def begin(self, backup: str | None, at: int | None) -> str:
        """Restore into a table whose name no role of the stack names."""
        name = f"{self.records}-quarantine-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        key = self.describe(self.records).get("SSEDescription", {}).get("KMSMasterKeyArn")
        sse = {"SSESpecificationOverride": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if key else {}
        if backup:
            self.client.call("RestoreTableFromBackup", {"TargetTableName": name, "BackupArn": backup, **sse})
        else:
            source = {"SourceTableName": self.records, "TargetTableName": name}
            when: dict[str, Any] = {"RestoreDateTime": at} if at else {"UseLatestRestorableTime": True}
            self.client.call("RestoreTableToPointInTime", {**source, **when, **sse})
        return name

    def replayed(self, table: str) -> None:
        """Note that the erasures were replayed into a table."""
        arn = self.describe(table)["TableArn"]
        self.client.call("TagResource", {"ResourceArn": arn, "Tags": [{"Key": TAG, "Value": REPLAYED}]})

    def step(self, table: str) -> str | None:
        """The step that a table has reached; None where it is not one of `begin`'s, or not there."""
        if not re.fullmatch(re.escape(self.records) + "-quarantine-[0-9]{14}", table):
            return None
        try:
            described = self.describe(table)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return None
        if described["TableStatus"] != "ACTIVE":
            return RESTORING
        tags = self.client.call("ListTagsOfResource", {"ResourceArn": described["TableArn"]}).get("Tags", ())
        return REPLAYED if {"Key": TAG, "Value": REPLAYED} in tags else QUARANTINED

    def protect(self, table: str) -> None:
        """TTL and point-in-time recovery, which a restored table comes without."""
        if not self.has_ttl(table):
            ttl = {"AttributeName": "ttl", "Enabled": True}
            self.client.call("UpdateTimeToLive", {"TableName": table, "TimeToLiveSpecification": ttl})
        days = read_policy("retention")["backups"]["records_days"]
        recovery = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
        payload = {"TableName": table, "PointInTimeRecoverySpecification": recovery}
        self.client.call("UpdateContinuousBackups", payload)

    def has_ttl(self, table: str) -> bool:
        """Whether expired rows go by themselves."""
        found = self.client.call("DescribeTimeToLive", {"TableName": table})["TimeToLiveDescription"]
        return found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")


@app.command("begin")
def begin(
    backup: Annotated[str | None, typer.Option(help="A backup's ARN; default: point-in-time recovery.")] = None,
    at: Annotated[int | None, typer.Option(help="POSIX seconds to restore to; default: as late as possible.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Restore into a quarantined table of its own: no function may read it."""
    name = Drill(find(stack)).begin(backup, at)
    say({"table": name, "next": f"when it is ACTIVE: chatapi restore replay {name}"}, as_json)


@app.command("replay")
def replay_into(table: Table, stack: Stack = None, as_json: AsJson = False) -> None:
    """Delete from the quarantined table what was erased, deleted, corrected or has expired since. Safe to repeat."""
    drill = Drill(find(stack))
    if _step(drill, table) is None:
        fail("this is not a quarantined table of 'chatapi restore begin'")
    counts = dict[str, int]()
    for progress in replay(drill.client, drill.ledger, table):
        counts = dict(progress)
    drill.protect(table)
    if counts.get("left"):
        fail(f"{counts['left']} rows are left that may not come back; run this again")
    drill.replayed(table)
    say({"table": table, **counts, "next": f"chatapi restore release {table}"}, as_json)


@app.command("release")
def release(table: Table, stack: Stack = None, as_json: AsJson = False) -> None:
    """Give the rows that the live table lacks back to it. Refused before the replay; never overwrites. Repeatable."""
    drill = Drill(find(stack))
    if _step(drill, table) != REPLAYED or not drill.has_ttl(table):
        fail(f"not replayed yet: chatapi restore replay {table}")
    counts = dict[str, int]()
    for progress in give_back(drill.client, drill.ledger, table, drill.records):
        counts = dict(progress)
    say({"table": table, **counts, "next": f"chatapi restore discard {table}"}, as_json)


@app.command("discard")
def discard(table: Table, stack: Stack = None, as_json: AsJson = False) -> None:
    """Delete the quarantined table."""
    drill = Drill(find(stack))
    if _step(drill, table) is None:
        fail("this is not a quarantined table of 'chatapi restore begin'")
    drill.client.call("DeleteTable", {"TableName": table})
    say({"deleted": table, "note": "AWS keeps a system backup for as long as point-in-time recovery was on"}, as_json)


def _step(drill: Drill, table: str) -> str | None:
    step = drill.step(table)
    if step == RESTORING:
        fail("the table is still being restored: run this again when it is ACTIVE")
    return step
