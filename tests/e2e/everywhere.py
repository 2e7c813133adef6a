"""Everything that a running stack keeps, as an administrator with every right reads it.

What there is, is asked of the stack itself and stands in no list here: a table, a bucket or a queue that is added to
the template is searched from then on. Each kind of place can be seen to be searched: test_the_search_everywhere.py
plants a canary in every one. Of KMS calls nothing is kept that could be read here (MiniStack has no CloudTrail):
the contexts that are given to KMS are tested where they are made (tests/unit/vault).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from botocore.exceptions import ClientError

from tests.e2e.local_stack import RunningStack
from tests.support.canary import Canary, as_bytes, which

_MOST_NESTED = 3


CODE = re.compile(r"build|sam|(?:code|layer_[0-9]+)(?:\.zip)?")
"""Directories and archives of what was built."""


class Thing(NamedTuple):
    """Something that is kept: `kind` of place (a word of KINDS), `place` its name there, and its bytes."""

    kind: str
    place: str
    content: bytes


KINDS = ("table", "object", "file", "log", "execution", "queue", "secret", "schedule", "setting", "sent")
"""The kinds of places. `sent` is what the mail service was given to deliver, which stands for what has left."""


def everything(stack: RunningStack) -> Iterator[Thing]:
    """Every thing that the stack keeps."""
    for read in (_tables, _objects, _files, _logs, _executions, _queues, _secrets, _schedules, _settings, _sent):
        yield from read(stack)


def found(stack: RunningStack, *canaries: Canary) -> dict[str, set[tuple[str, str]]]:
    """Where each canary stands, in clear or encoded: by its text, (kind, place). One that is nowhere is left out."""
    places: dict[str, set[tuple[str, str]]] = {}
    for thing in everything(stack):
        for canary in which(canaries, thing.place.encode() + b"\n" + thing.content):
            places.setdefault(canary.text, set()).add((thing.kind, thing.place))
    return places


def unpacked(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """Content, and what is packed in it: the entries of a ZIP and their names, the text of a gzip, one in another."""
    yield content
    if depth == _MOST_NESTED:
        return
    if content[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(content), depth + 1)
    elif zipfile.is_zipfile(io.BytesIO(content)):
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile:
            return  # cut off, or no archive at all: its bytes were searched
        with archive:
            yield archive.comment
            for entry in archive.infolist():
                yield entry.filename.encode() + entry.comment + entry.extra
                yield from unpacked(archive.read(entry), depth + 1)


def buckets(stack: RunningStack) -> list[str]:
    """Every bucket but the one in which SAM CLI keeps what was built: code, from before anybody said anything."""
    names = [entry["Name"] for entry in stack.aws("s3").list_buckets()["Buckets"]]
    return [name for name in names if not name.startswith("aws-sam-cli-managed-default")]


def _tables(stack: RunningStack) -> Iterator[Thing]:
    dynamodb = stack.aws("dynamodb")
    for page in dynamodb.get_paginator("list_tables").paginate():
        for name in page["TableNames"]:
            for rows in dynamodb.get_paginator("scan").paginate(TableName=name):
                yield Thing("table", name, as_bytes(rows["Items"]))


def _objects(stack: RunningStack) -> Iterator[Thing]:
    """Every version of every object, what it is called and what is said of it."""
    s3 = stack.aws("s3")
    for bucket in buckets(stack):
        yield Thing("object", bucket, b"")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in page.get("Versions", ()):
                which_one = {"VersionId": entry["VersionId"]} if entry.get("VersionId", "null") != "null" else {}
                try:
                    got = s3.get_object(Bucket=bucket, Key=entry["Key"], **which_one)
                except ClientError as error:  # it was deleted since it was listed
                    if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                        continue
                    raise
                content = b"\n".join(unpacked(got["Body"].read()))
                yield Thing("object", f"{bucket}/{entry['Key']}", as_bytes(got["Metadata"]) + content)
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", ()):
                yield Thing("object", f"{bucket}/{upload['Key']}", as_bytes(upload))


def _files(stack: RunningStack) -> Iterator[Thing]:
    """The directory of the stack, logs of every process in it and MiniStack's own files; not the code that was built,
    nor MiniStack's copies of it."""
    home = stack.place.home
    for directory, below, files in os.walk(home):
        below[:] = [name for name in below if not CODE.fullmatch(name)]
        for name in sorted(files):
            if not CODE.fullmatch(name):
                path = Path(directory) / name
                with suppress(FileNotFoundError):  # a function's place is cleared away while it is looked at
                    yield Thing("file", str(path.relative_to(home)), path.read_bytes())


def _logs(stack: RunningStack) -> Iterator[Thing]:
    logs = stack.aws("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in (entry["logGroupName"] for entry in page["logGroups"]):
            yield Thing("log", group, b"")
            for streams in logs.get_paginator("describe_log_streams").paginate(logGroupName=group):
                for stream in (entry["logStreamName"] for entry in streams["logStreams"]):
                    yield Thing("log", group, _told(list(_events(logs, group, stream))))


def _events(logs: Any, group: str, stream: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        yield from (event["message"] for event in page["events"])
        following = page.get("nextForwardToken")
        if not page["events"] or following is None or following == token.get("nextToken"):
            return
        token = {"nextToken": following}


def _executions(stack: RunningStack) -> Iterator[Thing]:
    """Inputs, outputs and the history of every execution of every state machine, whoever started it."""
    states = stack.aws("stepfunctions")
    for machines in states.get_paginator("list_state_machines").paginate():
        for machine in machines["stateMachines"]:
            yield Thing(
                "setting",
                machine["name"],
                _told(states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])),
            )
            for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"]):
                for run in (entry["executionArn"] for entry in page["executions"]):
                    content = _told(states.describe_execution(executionArn=run))
                    for events in states.get_paginator("get_execution_history").paginate(
                        executionArn=run, PaginationConfig={"PageSize": 1000}
                    ):
                        content += _told(events["events"])
                    yield Thing("execution", run.partition(":execution:")[2], content)


def _queues(stack: RunningStack) -> Iterator[Thing]:
    """What is in a queue, and stays in it: dead-letter queues are queues."""
    sqs, wanted = stack.aws("sqs"), {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    for page in sqs.get_paginator("list_queues").paginate():
        for url in page.get("QueueUrls", ()):
            seen: list[dict[str, Any]] = []
            while got := sqs.receive_message(QueueUrl=url, VisibilityTimeout=60, MaxNumberOfMessages=10, **wanted).get(
                "Messages"
            ):
                seen += got
            for message in seen:  # for the next reader
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
            yield Thing("queue", url.rpartition("/")[2], _told(seen))


def _secrets(stack: RunningStack) -> Iterator[Thing]:
    secrets = stack.aws("secretsmanager")
    for page in secrets.get_paginator("list_secrets").paginate():
        for entry in page["SecretList"]:
            value = secrets.get_secret_value(SecretId=entry["ARN"])
            yield Thing("secret", entry["Name"], _told([entry, value]))


def _schedules(stack: RunningStack) -> Iterator[Thing]:
    """Rules of EventBridge with what they hand to their targets, and schedules."""
    events, scheduler = stack.aws("events"), stack.aws("scheduler")
    for rule in events.list_rules()["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        yield Thing("schedule", rule["Name"], _told([rule, targets]))
    for entry in scheduler.list_schedules()["Schedules"]:
        yield Thing("schedule", entry["Name"], _told(scheduler.get_schedule(Name=entry["Name"])))


def _settings(stack: RunningStack) -> Iterator[Thing]:
    """Functions with their environments, and the names and descriptions of keys."""
    for page in stack.aws("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            yield Thing("setting", function["FunctionName"], _told(function))
    kms = stack.aws("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            told = [
                kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"],
                kms.list_resource_tags(KeyId=key["KeyId"])["Tags"],
            ]
            yield Thing("setting", key["KeyId"], _told(told))


def _sent(stack: RunningStack) -> Iterator[Thing]:
    outbox = httpx.get(stack.info.aws_endpoint_url + "/_ministack/ses/messages", trust_env=False)
    yield Thing("sent", "mail", _told(outbox.json()))


def _told(value: Any) -> bytes:
    """An answer of boto3: as JSON, and each text in it by itself, which JSON in JSON has escaped twice."""
    plain = json.loads(json.dumps(value, default=lambda other: other.hex() if isinstance(other, bytes) else str(other)))
    return as_bytes(plain) + b"\n" + "\n".join(_texts(plain)).encode()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)
