"""The adapter of the port `Executions` on Step Functions (API reference, "StartExecution")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from chatapi.aws.errors import AwsError
from chatapi.store.cases import Case


class Caller(Protocol):
    """What is needed of a client."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


WORKFLOWS = {"access": "export", "portability": "export"}
"""Which workflow serves a right; the others have one of their own name."""


class StepFunctions:
    """Executions of the workflows, by the ARN of each. Only opaque ids go into an execution: its history is kept for 90
    days."""

    def __init__(self, client: Caller, machines: Mapping[str, str]) -> None:
        self._client = client
        self._machines = machines

    def start(self, name: str, case: Case) -> None:
        """See Executions."""
        machine, project, request = self._machines[WORKFLOWS.get(case.type, case.type)], case.project, case.id
        given = json.dumps({"project": project, "request": request})
        try:
            self._client.call("StartExecution", {"stateMachineArn": machine, "name": name, "input": given})
        except AwsError as error:
            if error.code != "ExecutionAlreadyExists":
                raise
