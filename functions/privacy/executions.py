"""The adapter of the port `Executions` on Step Functions (API reference, "StartExecution")."""

from __future__ import annotations

import json
from typing import Any, Protocol

from chatapi.aws.errors import AwsError


class Caller(Protocol):
    """What is needed of a client."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class StepFunctions:
    """Executions of one state machine. Only opaque ids go into an execution: its history is kept for 90 days."""

    def __init__(self, client: Caller, machine_arn: str) -> None:
        self._client = client
        self._machine_arn = machine_arn

    def start(self, name: str, project: str, request: str) -> None:
        """See Executions."""
        given = json.dumps({"project": project, "request": request})
        try:
            self._client.call("StartExecution", {"stateMachineArn": self._machine_arn, "name": name, "input": given})
        except AwsError as error:
            if error.code != "ExecutionAlreadyExists":
                raise
