"""The adapters of the API and the tasks: Step Functions and S3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatapi.aws.errors import AwsError, AwsUnavailable
from chatapi.store.cases import Case
from privacy.executions import StepFunctions
from privacy.objects import MemoryObjects, NotDeleted, S3Objects

MACHINE = "arn:aws:states:eu-central-1:000000000000:stateMachine:erasure"


class States:
    """Answers StartExecution, or refuses."""

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, payload))
        if self.error:
            raise self.error
        return {"executionArn": "arn"}


CASE = Case("projectA", "dsr_1", {"type": "erasure"})


def test_each_right_has_its_workflow() -> None:
    states = States()
    machines = {"erasure": "e", "export": "x"}
    for right in ("erasure", "access", "portability"):
        StepFunctions(states, machines).start("n", Case("projectA", "dsr_1", {"type": right}))
    assert [payload["stateMachineArn"] for _, payload in states.calls] == ["e", "x", "x"]


def test_an_execution_gets_opaque_ids_alone() -> None:
    states = States()
    StepFunctions(states, {"erasure": MACHINE}).start("dsr_1-7", CASE)
    ((operation, payload),) = states.calls
    assert (operation, payload["name"], payload["stateMachineArn"]) == ("StartExecution", "dsr_1-7", MACHINE)
    assert json.loads(payload["input"]) == {"project": "projectA", "request": "dsr_1"}


def test_an_execution_that_exists_already_was_started() -> None:
    StepFunctions(States(AwsError("ExecutionAlreadyExists", 400)), {"erasure": MACHINE}).start("n", CASE)


@pytest.mark.parametrize("error", [AwsUnavailable("Timeout"), AwsError("StateMachineDoesNotExist", 400)])
def test_any_other_refusal_is_one(error: AwsError) -> None:
    with pytest.raises(AwsError):
        StepFunctions(States(error), {"erasure": MACHINE}).start("n", CASE)


class S3:
    """A bucket's client: lists in pages, deletes in batches, refuses one key."""

    def __init__(self, keys: list[str], refuses: str = "") -> None:
        self.keys = keys
        self.refuses = refuses
        self.batches: list[int] = []

    def get_paginator(self, operation: str) -> S3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        found = [{"Key": key} for key in self.keys if key.startswith(Prefix)]
        return [{"Contents": found[start : start + 1000]} for start in range(0, len(found), 1000)] or [{}]

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        gone = {entry["Key"] for entry in Delete["Objects"]}
        self.batches.append(len(gone))
        self.keys = [key for key in self.keys if key not in gone or key == self.refuses]
        return {"Errors": [{"Key": self.refuses}]} if self.refuses in gone else {}


def bucket(s3: S3) -> S3Objects:
    made = S3Objects("exports")
    made._made = s3
    return made


def test_a_bucket_in_pages_and_batches() -> None:
    s3 = S3([f"p/s/{number:04d}" for number in range(2500)] + ["p/other"])
    objects = bucket(s3)
    objects.delete(objects.list("p/s/"))
    assert (s3.keys, s3.batches) == (["p/other"], [1000, 1000, 500])
    assert objects.list("p/s/") == []


def test_an_object_that_stays_is_an_error() -> None:
    with pytest.raises(NotDeleted):
        bucket(S3(["p/s/1"], refuses="p/s/1")).delete(["p/s/1"])


def test_the_fake_does_the_same() -> None:
    objects = MemoryObjects()
    objects.keys = {"p/s/1", "p/s/2", "p/other"}
    objects.delete(objects.list("p/s/"))
    assert objects.keys == {"p/other"}
