"""The search of every store can fail: a canary in clear is found wherever it is planted, and no store is left out."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chatapi.ids import random62
from tests.e2e.everywhere import KINDS, buckets, everything, found
from tests.e2e.local_stack import RunningStack
from tests.support.canary import Canary


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stacked:
        yield stacked


def packed(text: str) -> bytes:
    """A ZIP in a gzip in a ZIP."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", text)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.gz", gzip.compress(inner.getvalue()))
    return outer.getvalue()


def in_tables(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    dynamodb, places = stack.aws("dynamodb"), set()
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        key = {each["AttributeName"]: {types[each["AttributeName"]]: "7" * 9} for each in table["KeySchema"]}
        dynamodb.put_item(TableName=name, Item={**key, "body": {"B": canary.text.encode()}})
        undo.callback(dynamodb.delete_item, TableName=name, Key=key)
        places.add(("table", name))
    return places


def in_objects(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    s3, places = stack.aws("s3"), set()
    contents = {"plain": canary.text.encode(), "gzip": gzip.compress(canary.text.encode()), "zip": packed(canary.text)}
    for bucket in buckets(stack):
        for name, content in contents.items():
            put = s3.put_object(Bucket=bucket, Key="planted/" + name, Body=content)
            version = {"VersionId": put["VersionId"]} if put.get("VersionId", "null") != "null" else {}
            if not bucket.startswith(stack.info.stack_name + "-checkpoints"):  # what is there stays: Object Lock
                undo.callback(s3.delete_object, Bucket=bucket, Key="planted/" + name, **version)
            places.add(("object", f"{bucket}/planted/{name}"))
    return places


def in_logs(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    logs, places = stack.aws("logs"), set()
    for group in (entry["logGroupName"] for entry in logs.describe_log_groups()["logGroups"]):
        logs.create_log_stream(logGroupName=group, logStreamName="planted")
        undo.callback(logs.delete_log_stream, logGroupName=group, logStreamName="planted")
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps({"said": canary.text})}
        logs.put_log_events(logGroupName=group, logStreamName="planted", logEvents=[event])
        places.add(("log", group))
    return places


def in_files(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    for place in (stack.place.home / "logs" / "planted.log", stack.place.home / "run" / "planted"):
        place.write_text(canary.text)
        undo.callback(place.unlink)
    return {("file", "logs/planted.log"), ("file", "run/planted")}


def in_an_execution(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    states = stack.aws("stepfunctions")
    role = states.describe_state_machine(stateMachineArn=stack.info.outputs["ErasureMachine"])["roleArn"]
    definition = {"Comment": canary.text, "StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    made = states.create_state_machine(name="planted", definition=json.dumps(definition), roleArn=role)
    undo.callback(states.delete_state_machine, stateMachineArn=made["stateMachineArn"])
    said = json.dumps({"said": canary.text})
    states.start_execution(stateMachineArn=made["stateMachineArn"], name="run", input=said)
    return {("setting", "planted"), ("execution", "planted:run")}


def in_a_queue(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    sqs = stack.aws("sqs")
    url = sqs.create_queue(QueueName="planted-dead-letters")["QueueUrl"]
    undo.callback(sqs.delete_queue, QueueUrl=url)
    for _ in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"said": "nothing"}))
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"said": canary.text}))
    return {("queue", "planted-dead-letters")}


def in_a_secret(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    secrets = stack.aws("secretsmanager")
    secrets.create_secret(Name="planted", SecretString=canary.text)
    undo.callback(secrets.delete_secret, SecretId="planted", ForceDeleteWithoutRecovery=True)
    return {("secret", "planted")}


def in_a_schedule(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    events = stack.aws("events")
    events.put_rule(Name="planted", ScheduleExpression="rate(1 day)", State="DISABLED")
    undo.callback(events.delete_rule, Name="planted")
    target = {"Id": "one", "Arn": stack.info.outputs["ErasureMachine"], "Input": json.dumps({"said": canary.text})}
    events.put_targets(Rule="planted", Targets=[target])
    undo.callback(events.remove_targets, Rule="planted", Ids=["one"])
    return {("schedule", "planted")}


def in_a_mail(stack: RunningStack, canary: Canary, undo: ExitStack) -> set[tuple[str, str]]:
    del undo  # what was delivered stays delivered
    content = {"Simple": {"Subject": {"Data": "planted"}, "Body": {"Text": {"Data": canary.text}}}}
    sender = next(entry for entry in stack.aws("sesv2").list_email_identities()["EmailIdentities"])["IdentityName"]
    sender = sender if "@" in sender else "planted@" + sender
    to = {"ToAddresses": ["planted@example.org"]}
    stack.aws("sesv2").send_email(FromEmailAddress=sender, Destination=to, Content=content)
    return {("sent", "mail")}


PLANTERS: Any = {
    "table": in_tables,
    "object": in_objects,
    "log": in_logs,
    "file": in_files,
    "execution": in_an_execution,
    "queue": in_a_queue,
    "secret": in_a_secret,
    "schedule": in_a_schedule,
    "sent": in_a_mail,
}


@pytest.mark.parametrize("kind", sorted(PLANTERS))
def test_a_canary_that_is_planted_in_clear_is_found(stack: RunningStack, undo: ExitStack, kind: str) -> None:
    canary = Canary(f"planted-{kind}-{random62(8)}")
    assert found(stack, canary) == {}
    planted = PLANTERS[kind](stack, canary, undo)
    assert planted
    # each place, and nothing besides it but the files that MiniStack keeps of its objects
    seen = found(stack, canary)[canary.text]
    assert planted <= seen
    assert {entry for entry in seen - planted if entry[0] != "file"} == set()


def test_every_kind_of_place_has_its_planter_and_every_store_of_the_stack_is_searched(stack: RunningStack) -> None:
    assert set(KINDS) == set(PLANTERS) | {"setting"}  # a setting is planted with the execution
    searched = {thing.place for thing in everything(stack)}
    resources: dict[str, set[str]] = {}
    listed = stack.aws("cloudformation").get_paginator("list_stack_resources")
    for page in listed.paginate(StackName=stack.info.stack_name):
        for entry in page["StackResourceSummaries"]:
            resources.setdefault(entry["ResourceType"], set()).add(entry["PhysicalResourceId"].rpartition(":")[2])
    for kind in ("DynamoDB::Table", "S3::Bucket", "Logs::LogGroup", "StepFunctions::StateMachine", "Lambda::Function"):
        stores = resources["AWS::" + kind]
        assert stores
        assert stores <= searched, kind
    # a kind of store that the template gets and this search does not know is to be added to it
    unknown = {"Kinesis::Stream", "KinesisFirehose::DeliveryStream", "EFS::FileSystem", "RDS::DBInstance"}
    assert not {"AWS::" + kind for kind in unknown} & set(resources)
