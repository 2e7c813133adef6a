"""The KMS keys behind the Vault: making the next epoch, retiring an old one. Operators' credentials, no function's.

An epoch is a KMS key with an alias `{stack}-epoch-{key id}`; the alias `{stack}-epoch` names the one for new wraps, and
the functions may use whatever key has such an alias (condition `kms:ResourceAliases` in template.yaml).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from chatapi.aws.errors import AwsError

QUIET_SECONDS = 7 * 86400
WINDOW_DAYS = 30
_TAG = "chatapi-disabled-at"


class EpochError(Exception):
    """What was asked for would lose data or is not possible. The text says why."""


class Caller(Protocol):
    """A client of KMS."""

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """One API call."""
        ...


class Epochs:
    """The epochs of one stack in its home region."""

    def __init__(self, kms: Caller, stack: str, now: Callable[[], float]) -> None:
        self._kms = kms
        self._alias = f"alias/{stack}-epoch"
        self._now = now

    def current(self) -> str:
        """The ARN of the key for new wraps."""
        return str(self._describe(self._alias)["Arn"])

    def all(self) -> dict[str, str]:
        """ARN → state, of every epoch that has an alias."""
        found: dict[str, str] = {}
        marker: dict[str, Any] = {}
        while True:
            page = self._kms.call("ListAliases", marker)
            for alias in page.get("Aliases", ()):
                name = str(alias["AliasName"])
                if (name == self._alias or name.startswith(self._alias + "-")) and "TargetKeyId" in alias:
                    key = self._describe(alias["TargetKeyId"])
                    found[str(key["Arn"])] = str(key["KeyState"])
            if not page.get("Truncated"):
                return found
            marker = {"Marker": page["NextMarker"]}

    def begin(self) -> str:
        """Make the next epoch like the present one and move the alias to it; its ARN. The old one keeps an alias
        of its own, so that what is wrapped under it goes on opening."""
        old = self.current()
        policy = self._kms.call("GetKeyPolicy", {"KeyId": old, "PolicyName": "default"})["Policy"]
        description = "Wraps the data key of each data subject, under an encryption context of opaque ids"
        made = self._kms.call("CreateKey", {"Description": description, "Policy": policy})["KeyMetadata"]
        self._kms.call("EnableKeyRotation", {"KeyId": made["KeyId"]})
        self._named(old)
        self._named(str(made["Arn"]))
        self._kms.call("UpdateAlias", {"AliasName": self._alias, "TargetKeyId": made["KeyId"]})
        return str(made["Arn"])

    def _named(self, arn: str) -> None:
        key_id = arn.rpartition("/")[2]
        try:
            self._kms.call("CreateAlias", {"AliasName": f"{self._alias}-{key_id}", "TargetKeyId": key_id})
        except AwsError as error:
            if error.code != "AlreadyExistsException":
                raise

    def retire(self, arn: str, left: int) -> str:
        """Disable an epoch that nothing is wrapped under any more (`left`), and seven quiet days later schedule its
        deletion. Says what was done. EpochError where that would lose data, or it is no old epoch of this stack: a
        table's own key or a customer's is never touched."""
        if arn == self.current():
            raise EpochError("this is the current epoch; begin a new one first")
        state = self.all().get(arn)
        if state is None:
            raise EpochError("no old epoch of this stack has this ARN")
        if left:
            raise EpochError(f"{left} subject keys are wrapped under it; run 'chatapi vault rewrap' first")
        key_id = arn.rpartition("/")[2]
        if state == "Enabled":
            self._kms.call(
                "TagResource", {"KeyId": key_id, "Tags": [{"TagKey": _TAG, "TagValue": str(int(self._now()))}]}
            )
            self._kms.call("DisableKey", {"KeyId": key_id})
            return "disabled; run this again after seven quiet days"
        if state != "Disabled":
            return f"nothing to do: {state}"
        tags = self._kms.call("ListResourceTags", {"KeyId": key_id}).get("Tags", ())
        since = next((int(tag["TagValue"]) for tag in tags if tag["TagKey"] == _TAG), None)
        if since is None:
            raise EpochError("it was disabled by somebody else; enable it, then run this again")
        if self._now() - since < QUIET_SECONDS:
            raise EpochError("it has not been disabled for seven days yet")
        self._kms.call("ScheduleKeyDeletion", {"KeyId": key_id, "PendingWindowInDays": WINDOW_DAYS})
        return f"deletion is scheduled in {WINDOW_DAYS} days: then every copy of a wrap under it is dead"

    def _describe(self, key: str) -> dict[str, Any]:
        described: dict[str, Any] = self._kms.call("DescribeKey", {"KeyId": key})["KeyMetadata"]
        return described
