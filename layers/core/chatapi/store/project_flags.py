"""The flag on a project's item that says of an optional purpose: some data subject of this project has allowed it.

The authorizer reads the item anyway and hands the flags on, so a chat asks for its subject's own choice only where
there is one to find. A flag permits nothing by itself, and is never taken back: a withdrawal changes the choice, which
is read anew for each request. Without the flag nothing is processed for the purpose, so one that is missing or late is
safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chatapi.aws.av import to_av
from chatapi.aws.errors import AwsError
from chatapi.limits.admission import project_key

if TYPE_CHECKING:
    from chatapi.aws.calling import Caller

FLAGS = {"o_analytics": "analytics", "o_improvement": "improvement"}
"""Attribute → purpose: those for which something is processed (`today` of policy/purposes.toml; a test compares)."""


def allowed_by_some(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The optional purposes that somebody in the project of this item has allowed. Improvement takes content, so the
    project has to take part in it besides (`imp`; off unless an operator sets it)."""
    return tuple(
        purpose for flag, purpose in FLAGS.items() if flag in item and (purpose != "improvement" or item.get("imp"))
    )


class ProjectFlags:
    """Sets flags on `table`, the Projects table, by a call that reads nothing of the item."""

    def __init__(self, client: Caller, table: str) -> None:
        self._client = client
        self._table = table

    def set(self, project: str, purpose: str) -> None:
        """Somebody has allowed the purpose. Nothing happens where nothing is processed for it, or the project is gone.
        AwsError where the store does not answer; doing it again is harmless."""
        flag = next((name for name, named in FLAGS.items() if named == purpose), None)
        if flag is None:
            return
        update = {
            "TableName": self._table,
            "Key": {"pk": to_av(project_key(project))},
            "UpdateExpression": "SET #f = :t",
            "ConditionExpression": "#k = :k",
            "ExpressionAttributeNames": {"#f": flag, "#k": "kind"},
            "ExpressionAttributeValues": {":t": to_av(True), ":k": to_av("project")},
            "ReturnValues": "NONE",  # the role may not see hashed keys and limits (template.yaml)
        }
        try:
            self._client.call("UpdateItem", update)
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
