"""The API's way to the desk (AWS Lambda API reference, "Invoke": InvocationType RequestResponse). What is handed over
is in no queue and no history: the call is answered, or it is not."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

from chatapi.aws.calling import RestCaller
from chatapi.aws.errors import AwsError
from chatapi.errors import ApiError, BadRequest, Forbidden, NotFound, Unavailable

_MOST = 64 * 1024
_ERRORS: dict[int, type[ApiError]] = {400: BadRequest, 403: Forbidden, 404: NotFound}


class Deposited(NamedTuple):
    """The name under which what was handed in is kept, None where there is nothing that it could change; and the
    generation of the key that it lies under."""

    name: str | None
    generation: int


class Desk(Protocol):
    """Where what is to be written is handed in."""

    def deposit(self, project: str, subject: str, content: Any) -> Deposited:
        """Keep it for a request. The same again has the same name."""
        ...

    def discard(self, project: str, subject: str, name: str) -> None:
        """Forget it."""
        ...

    def inspect(self, project: str, subject: str, archive: str) -> None:
        """Look at an archive that is to be read in; its refusals are BadRequest and Forbidden."""
        ...


class LambdaDesk:
    """The adapter on Lambda. An ApiError of the desk comes out as one; AwsError where it does not answer."""

    def __init__(self, client: RestCaller, function: str) -> None:
        self._client = client
        self._function = function

    def deposit(self, project: str, subject: str, content: Any) -> Deposited:
        """See Desk."""
        told = self._ask({"task": "deposit", "project": project, "subject": subject, "content": content})
        return Deposited(told["deposit"], told["generation"])

    def discard(self, project: str, subject: str, name: str) -> None:
        """See Desk."""
        self._ask({"task": "discard", "project": project, "subject": subject, "deposit": name})

    def inspect(self, project: str, subject: str, archive: str) -> None:
        """See Desk."""
        self._ask({"task": "inspect", "project": project, "subject": subject, "archive": archive})

    def _ask(self, event: dict[str, Any]) -> dict[str, Any]:
        target = f"/2015-03-31/functions/{self._function}/invocations"
        headers = {"content-type": "application/json", "x-amz-invocation-type": "RequestResponse"}
        status, named, response = self._client.open("POST", target, json.dumps(event).encode(), headers)
        raw = bytearray()
        while piece := response.read1():
            raw += piece
            if len(raw) > _MOST:  # before the rest is read
                response.close()
                raise AwsError("InvokeRefused", status)
        failed = any(name.lower() == "x-amz-function-error" for name in dict(named))
        if status != 200 or failed:
            raise AwsError("InvokeRefused", status)
        told: dict[str, Any] = json.loads(raw)
        if refused := told.get("refused"):
            error = _ERRORS.get(refused["status"])
            if error is None:
                raise Unavailable(retry_after=30)
            raise error(refused["message"], code=refused["code"], param=refused["param"])
        return told
