"""On which terms a project stores, read where no key of the project has brought them: by a person in the portal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatapi.aws.av import from_item, to_av
from chatapi.limits.admission import project_key

if TYPE_CHECKING:
    from chatapi.aws.calling import Caller

ATTRIBUTES = ("pk", "kind", "st", "ret", "kms")
"""What the role may see of a project (template.yaml)."""
_OPEN = "A"


class ProjectTerms(NamedTuple):
    """The project's ceiling (chatapi.retention), and the KMS key that it brought."""

    ceiling: str = "none"
    key: str | None = None


def project_terms(client: Caller, table: str, project: str) -> ProjectTerms:
    """The terms of a project; nothing is kept where there is none, or it is suspended or closed. AwsError."""
    names = {f"#{name}": name for name in ATTRIBUTES}
    wanted = {"Key": {"pk": to_av(project_key(project))}, "ProjectionExpression": ", ".join(names)}
    found = client.call(
        "GetItem", {"TableName": table, **wanted, "ExpressionAttributeNames": names, "ConsistentRead": True}
    )
    item = from_item(found["Item"]) if "Item" in found else {}
    if item.get("kind") != "project" or item.get("st") != _OPEN:
        return ProjectTerms()
    return ProjectTerms(str(item.get("ret", "none")), item.get("kms"))
