"""The monthly turn of the epoch, as the schedule begins it: nobody notices, and an old copy of a wrap is dead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.local_stack import RunningStack
from tests.e2e.person import Person

_PATIENCE = 240


def turned(stack: RunningStack) -> tuple[dict[str, Any], str]:
    """An execution of the machine, at its end; and its whole history as text."""
    machines = stack.aws("stepfunctions")
    begun = machines.start_execution(stateMachineArn=stack.info.outputs["EpochMachine"], input="{}")["executionArn"]
    deadline = time.monotonic() + _PATIENCE
    while (found := machines.describe_execution(executionArn=begun))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(1)
    events = machines.get_execution_history(executionArn=begun, maxResults=1000)["events"]
    return found, json.dumps([found.get("input"), found.get("output"), events], default=str)


def wraps_of(stack: RunningStack, subject: str) -> dict[str, Any]:
    key = {"pk": {"S": f"v#{stack.info.project_id}#{subject}"}}
    item: dict[str, Any] = stack.aws("dynamodb").get_item(TableName=stack.info.outputs["VaultTable"], Key=key)["Item"]
    return item


def opened(stack: RunningStack, subject: str, item: dict[str, Any]) -> bytes:
    context = {"tenant": stack.info.project_id, "subject": subject, "generation": "1", "purpose": "subject-key"}
    plain: bytes = stack.aws("kms").decrypt(
        KeyId=item["arn"]["S"], CiphertextBlob=item["w"]["M"]["1"]["B"], EncryptionContext=context
    )["Plaintext"]
    return plain


def test_a_wrap_that_does_not_move_stops_the_turn_and_the_old_epoch_stays(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given an item that is not of the Vault's making: it could be under any key
    one, dynamo = person("epoch-stuck"), stack.aws("dynamodb")
    chat = one.chats("hello")
    old = one.operator("vault", "status", "--json")["current_epoch"]
    planted = {"pk": {"S": "v#prj#sub_planted"}}
    dynamo.put_item(TableName=stack.info.outputs["VaultTable"], Item=planted)
    try:
        # when the machine runs
        execution, history = turned(stack)
    finally:
        dynamo.delete_item(TableName=stack.info.outputs["VaultTable"], Key=planted)
    # then it fails, which is an alarm; the log names the item, the history does not; and nothing was ended
    assert (execution["status"], execution["error"]) == ("FAILED", "EpochStuck"), history[-3000:]
    assert "planted" not in history
    status = one.operator("vault", "status", "--json")
    assert status["epochs"][old] == "Enabled"
    assert one.get(f"/chat/completions/{chat}").status_code == 200
    group = f"/aws/lambda/{stack.info.stack_name}-epoch-move"
    pages = stack.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    (line, *_) = [e["message"] for page in pages for e in page["events"] if '"wrap_stuck"' in e["message"]]
    said = json.loads(line)
    assert (said["subject"], said["outcome"], said["level"]) == ("sub_planted", "unreadable", "error")


def test_the_schedules_turn_moves_every_wrap_and_ends_the_old_epoch(
    stack: RunningStack, person: Callable[[str], Person]
) -> None:
    # given people with stored chats, and a copy that somebody made of a wrap
    people = [person(f"epoch-{number}") for number in range(3)]
    chats = [one.chats("hello") for one in people]
    locator = {"pk": {"S": "l#" + stack.info.project_id}, "sk": {"S": chats[0]}}
    found = stack.aws("dynamodb").get_item(TableName=stack.info.outputs["RecordsTable"], Key=locator)
    subject = found["Item"]["subject"]["S"]
    backup = wraps_of(stack, subject)
    key = opened(stack, subject, backup)
    old = people[0].operator("vault", "status", "--json")["current_epoch"]
    assert backup["arn"]["S"] == old

    # when the schedule's machine runs (a retired epoch rests for three seconds here)
    (rule,) = [each for each in stack.aws("events").list_rules()["Rules"] if "EpochRule" in each["Name"]]
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 3 1 * ? *)", "ENABLED")
    execution, history = turned(stack)

    # then everything is under the new epoch, and opens through the API
    assert execution["status"] == "SUCCEEDED", history[-3000:]
    status = people[0].operator("vault", "status", "--json")
    assert status["current_epoch"] != old
    assert {row["whose"] for row in status["items"] if row["state"] == "active"} == {"current"}
    assert [people[0].get(f"/chat/completions/{chat}").status_code for chat in chats] == [200] * 3
    assert opened(stack, subject, wraps_of(stack, subject)) == key  # the very same subject key: no row was touched
    # the old one is on its way out, and the copy does not open
    assert status["epochs"][old] == "PendingDeletion"
    with pytest.raises(ClientError, match="KMSInvalidStateException"):
        opened(stack, subject, backup)
    # and the history names nobody
    assert "sub_" not in history
    assert stack.info.project_id not in history
    assert json.loads(execution["output"])["ended"] >= 1
