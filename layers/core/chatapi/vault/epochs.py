"""The KMS keys behind the Vault: making the next epoch, retiring an old one.

An epoch is a KMS key with an alias `{stack}-epoch-{key id}` and the tag `chatapi-epoch-of`; the alias `{stack}-epoch`
names the one for new wraps. The functions that use keys may use those with such an alias (`kms:ResourceAliases`),
those that make and retire them touch those with the tag alone (`aws:ResourceTag`, template.yaml). The command and the
functions call the same code: `chatapi vault …` under an operator's credentials, `epochs` on the schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chatapi.aws.calling import Caller
from chatapi.aws.errors import AwsError

SEEN_SECONDS = 300
"""Until a tag or an alias counts where IAM decides, at most (AWS KMS Developer Guide, "ABAC for AWS KMS")."""
QUIET_SECONDS = 7 * 86400
WINDOW_DAYS = 30
OF, NEXT, DISABLED_AT = "chatapi-epoch-of", "chatapi-epoch-next", "chatapi-disabled-at"
"""Tags of an epoch: whose it is; the epoch that was made after it; when it was retired."""


class EpochError(Exception):
    """What was asked for would lose data or is not possible. The text says why."""


class Overtaken(Exception):
    """Another epoch is the current one than the one that this turn works for: what is old is not known."""


class Ended(NamedTuple):
    """What became of the old epochs: how many were scheduled for deletion, and how many are not through their quiet
    days. Those that somebody else disabled are neither."""

    scheduled: int
    waiting: int


class Epochs:
    """The epochs of one stack in its home region. `alias` is that of the current one, `alias/{stack}-epoch`."""

    def __init__(self, kms: Caller, alias: str, now: Callable[[], float], *, quiet: float = QUIET_SECONDS) -> None:
        self._kms = kms
        self._alias = alias
        self._now = now
        self._quiet = quiet

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
                key_id = str(alias.get("TargetKeyId"))
                if alias["AliasName"] in (self._alias, f"{self._alias}-{key_id}"):
                    key = self._describe(key_id)
                    found[str(key["Arn"])] = str(key["KeyState"])
            if not page.get("Truncated"):
                return found
            marker = {"Marker": page["NextMarker"]}

    def is_young(self, seconds: float) -> bool:
        """Whether the current epoch was made less than `seconds` ago: a turn that starts again goes on with it."""
        return self._now() - float(self._describe(self._alias)["CreationDate"]) < seconds

    def prepare(self) -> str:
        """Make the next epoch like the present one; its key's id. Both have an alias of their own then, by which the
        functions may use them; `begin` comes SEEN_SECONDS later. Where an earlier call broke off, its key is taken:
        none is left behind unused."""
        old = self._describe(self._alias)
        made = self._broken_off(old["KeyId"]) or self._made(old["KeyId"])
        self._kms.call("EnableKeyRotation", {"KeyId": made})
        self._named(old["KeyId"])
        self._named(made)
        return made

    def begin(self) -> str:
        """Move the alias to the next epoch, and make that where it is not there; its ARN. What is wrapped under the old
        one goes on opening."""
        made = self.prepare()
        self._kms.call("UpdateAlias", {"AliasName": self._alias, "TargetKeyId": made})
        return str(self._describe(made)["Arn"])

    def _broken_off(self, old: str) -> str | None:
        made = self._tags(old).get(NEXT)
        try:
            return made if made is not None and self._describe(made)["KeyState"] == "Enabled" else None
        except AwsError as error:
            if error.code != "NotFoundException":
                raise
            return None

    def _made(self, old: str) -> str:
        policy = self._kms.call("GetKeyPolicy", {"KeyId": old, "PolicyName": "default"})["Policy"]
        description = "Wraps the data key of each data subject, under an encryption context of opaque ids"
        stack = self._alias.removeprefix("alias/").removesuffix("-epoch")
        tags = [{"TagKey": OF, "TagValue": stack}]
        key = self._kms.call("CreateKey", {"Description": description, "Policy": policy, "Tags": tags})["KeyMetadata"]
        self._tag(old, NEXT, str(key["KeyId"]))
        return str(key["KeyId"])

    def _named(self, key_id: str) -> None:
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
        if state == "Enabled":
            self._disable(arn)
            return "disabled; run this again after seven quiet days"
        if state != "Disabled":
            return f"nothing to do: {state}"
        since = self._retired_at(arn)
        if since is None:
            raise EpochError("it was disabled by somebody else; enable it, then run this again")
        if self._now() - since < self._quiet:
            raise EpochError("it has not been disabled for seven days yet")
        self._schedule(arn)
        return f"deletion is scheduled in {WINDOW_DAYS} days: then every copy of a wrap under it is dead"

    def disable_old(self, current: str) -> int:
        """Disable every epoch but `current`, under which a caller has found all wraps; how many. Overtaken."""
        old = [arn for arn, state in self._old(current) if state == "Enabled"]
        for arn in old:
            self._disable(arn)
        return len(old)

    def end_old(self, current: str) -> Ended:
        """Schedule the deletion of every old epoch that is through its quiet days. Overtaken. One that somebody else
        disabled stays as it is: who did it knows why."""
        scheduled = waiting = 0
        for arn, state in self._old(current):
            since = self._retired_at(arn) if state == "Disabled" else None
            if since is None:
                continue
            if self._now() - since < self._quiet:
                waiting += 1
                continue
            self._schedule(arn)
            scheduled += 1
        return Ended(scheduled, waiting)

    def _old(self, current: str) -> list[tuple[str, str]]:
        if self.current() != current:
            raise Overtaken
        return [(arn, state) for arn, state in sorted(self.all().items()) if arn != current]

    def _disable(self, arn: str) -> None:
        key_id = arn.rpartition("/")[2]
        self._tag(key_id, DISABLED_AT, str(int(self._now())))
        self._kms.call("DisableKey", {"KeyId": key_id})

    def _schedule(self, arn: str) -> None:
        key_id = arn.rpartition("/")[2]
        self._kms.call("ScheduleKeyDeletion", {"KeyId": key_id, "PendingWindowInDays": WINDOW_DAYS})

    def _retired_at(self, arn: str) -> int | None:
        since = self._tags(arn.rpartition("/")[2]).get(DISABLED_AT)
        return None if since is None else int(since)

    def _tag(self, key_id: str, name: str, value: str) -> None:
        self._kms.call("TagResource", {"KeyId": key_id, "Tags": [{"TagKey": name, "TagValue": value}]})

    def _tags(self, key_id: str) -> dict[str, str]:
        tags = self._kms.call("ListResourceTags", {"KeyId": key_id}).get("Tags", ())
        return {str(tag["TagKey"]): str(tag["TagValue"]) for tag in tags}

    def _describe(self, key: str) -> dict[str, Any]:
        described: dict[str, Any] = self._kms.call("DescribeKey", {"KeyId": key})["KeyMetadata"]
        return described
