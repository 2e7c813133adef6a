"""Consent and opt-out (GDPR Art. 7 and 21): the choices of a data subject, with records and receipts.

Records and receipts have the names of ISO/IEC TS 27560:2023. Whatever processes for an optional purpose asks for these
choices before it acts (functions/chat/purposes.py); docs/choices.md says how, and how soon.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from chatapi.aws.errors import AwsError
from chatapi.catalogue import catalogue, read_policy
from chatapi.certificates import RECEIPT
from chatapi.clock import Clock, iso
from chatapi.errors import BadRequest, Conflict, Unavailable
from chatapi.store.consents import (
    GRANTED,
    PROJECT,
    STATES,
    WITHDRAWN,
    Consents,
    OnlyThePerson,
    optional_purposes,
    stands,
)
from chatapi.store.items import Collision, Item
from privacy.requests import Choice, Subject

SCHEMA = "ISO/IEC TS 27560:2023"
_EVENT_TYPES = {"granted": "consent-given", "withdrawn": "consent-withdrawn"}


class Follower(Protocol):
    """Starts what follows a choice: its signed receipt, and the notice to recipients (privacy/choosing)."""

    def follow(self, row: Item) -> None:
        """Start it, once for a revision; again where it was not finished long ago. AwsError where it was not
        started."""
        ...


class Choices:
    """The service. `flag(project, purpose)` tells the authorizer that the choice is there to be asked for; `pseudonym`
    turns a project's selector into the id under which the person is known here."""

    def __init__(
        self,
        consents: Consents,
        clock: Clock,
        pseudonym: Callable[[str, Subject], str],
        flag: Callable[[str, str], None],
        follower: Follower,
    ) -> None:
        self._consents = consents
        self._clock = clock
        self._pseudonym = pseudonym
        self._flag = flag
        self._follower = follower

    def choose(self, project: str, choice: Choice) -> dict[str, Any]:
        """Write what the project passes on for a person; see `decide`."""
        subject = self._pseudonym(project, choice.subject)
        return self.decide(project, subject, choice.purpose, choice.state, by=PROJECT)

    def decide(self, project: str, subject: str, purpose: str, state: str, *, by: str) -> dict[str, Any]:
        """Write a choice of the subject (a pseudonym), told by the project or by the person; its receipt. BadRequest
        for a purpose that is not known, or that is not for choosing, with the reason of policy/purposes.toml (RGT-9).
        Conflict where others changed it all the while, and where a project grants what the person has withdrawn
        themselves. Unavailable where it is written and could not be put to use: the same choice again does that."""
        _choosable(purpose)
        if state not in STATES:
            raise BadRequest("state is granted or withdrawn.", code="invalid_value", param="state")
        row = self._write(project, subject, purpose, state, by)
        self._put_to_use(project, row)
        return signed(row)

    def _put_to_use(self, project: str, row: Item) -> None:
        # After the choice: a flag without one permits nothing, and a choice without a flag is not asked for. A
        # withdrawal needs none: every request that would act asks for the choice itself.
        try:
            if row["state"] == GRANTED:
                self._flag(project, str(row["sk"]))
            if "receipt" not in row:
                self._follower.follow(row)
        except AwsError:
            raise Unavailable("The choice was recorded, and nobody was told yet. Send it again.") from None

    def withdraw(self, project: str, subject: str, purpose: str) -> None:
        """An objection of a data subject, by its pseudonym (GDPR Art. 21); refusals as those of `decide`."""
        self.decide(project, subject, purpose, WITHDRAWN, by=PROJECT)

    def _write(self, project: str, subject: str, purpose: str, state: str, by: str) -> Item:
        try:
            return self._consents.choose(project, subject, purpose, state, self._clock.now(), by)
        except OnlyThePerson:
            raise Conflict(
                "The person has withdrawn this themselves: they alone can allow it again, in the portal.",
                code="withdrawn_by_person",
            ) from None
        except Collision:
            raise Conflict("The choice was changed by others at the same time; try again.") from None

    def show(self, project: str, subject: Subject) -> dict[str, Any]:
        """Every optional purpose, whether it is allowed, and the record of the choice where there was one."""
        return {"object": "list", "data": self.shown(project, self._pseudonym(project, subject))}

    def shown(self, project: str, subject: str) -> list[dict[str, Any]]:
        """The same of a pseudonym."""
        found = self._consents.all(project, subject, self._clock.now())
        return [_shown(name, found.get(name)) for name in optional_purposes()]


def _choosable(name: str) -> None:
    purpose = read_policy("purposes")["purposes"].get(name)
    if purpose is None:
        offered = ", ".join(optional_purposes())
        raise BadRequest("There is no such purpose. Optional: " + offered, code="unknown_purpose", param="purpose")
    if not purpose["optional"]:
        text = "This purpose is not optional. " + purpose["reason"]
        raise BadRequest(text, code="purpose_not_optional", param="purpose")


def _shown(name: str, row: Item | None) -> dict[str, Any]:
    purpose = read_policy("purposes")["purposes"][name]
    return {
        "object": "privacy.consent",
        "purpose": name,
        "text": purpose["text"],
        "default": purpose["default"],
        "processed_today": purpose["today"],
        "allowed": row is not None and stands(name, row),
        "record": record(row) if row else None,
        "receipt": signed(row) if row else None,
    }


def receipt(row: Item) -> dict[str, Any]:
    """The receipt of a row's latest revision, without its signature."""
    return {
        "object": RECEIPT,
        "schema_version": SCHEMA,
        "receipt_id": f"{row['id']}.{row['rev']}",
        "record": record(row),
    }


def signed(row: Item) -> dict[str, Any]:
    """The receipt as it was signed; its `jws` is null until the workflow has come to it, seconds after the choice."""
    return dict(json.loads(row["receipt"])) if "receipt" in row else {**receipt(row), "jws": None}


def record(row: Item) -> dict[str, Any]:
    """The consent record of a row. The person is a pseudonym; times in RFC 3339."""
    name, controller = str(row["sk"]), read_policy("rights")["controller"]["officer"]
    purpose, term = read_policy("purposes")["purposes"][name], read_policy("retention")["days"]["consent"]
    processed = [kind for kind in catalogue().kinds.values() if kind.purpose == name]
    kept = max((kind.days or 0 for kind in processed), default=0)
    record_kept = f"until it is chosen anew, or {term} days after an erasure"
    return {
        "schema_version": SCHEMA,
        "record_id": row["id"],
        "pii_principal_id": row["pk"].split("#")[2],
        "privacy_notice": row["policy"],
        "language": "en",
        "purposes": [
            {
                "purpose": name,
                "purpose_type": purpose["text"],
                "lawful_basis": purpose["basis"],
                "pii_information": purpose["data"],
                "pii_controllers": [controller],
                "recipient_third_parties": [],
                "storage_locations": sorted({kind.store for kind in processed}),
                "retention_period": f"{kept} days; this record {record_kept}",
                "withdrawal_method": "POST /v1/privacy/consents",
                "privacy_rights": sorted(read_policy("rights")["types"]),
            }
        ],
        "revision": row["rev"],
        "event_state": row["state"],
        "events": [
            {
                "event_time": iso(event["at"]),
                "event_type": _EVENT_TYPES[event["state"]],
                "event_state": event["state"],
                "entity_id": event["by"],
                "privacy_notice": event["policy"],
                "revision": event["rev"],
            }
            for event in row["events"]
        ],
    }
