"""What data subjects chose for the optional purposes of policy/purposes.toml: a row for a subject and purpose, found by
the subject's keyed hash alone.

It never ends by itself: an objection is obeyed for good (GDPR Art. 21(3)), after an erasure too. An erasure withdraws
what was granted; that row has a term, since then it only proves what was once allowed (Art. 7(1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatapi.catalogue import expiry, read_policy
from chatapi.ids import random62
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import consent_pk

GRANTED, WITHDRAWN = "granted", "withdrawn"
STATES = (GRANTED, WITHDRAWN)
PROJECT, PERSON = "project", "person"
"""Who told us: the project for a person, or the person in the portal."""
MAX_EVENTS = 20
"""How many changes a row remembers; the oldest go first. `rev` counts them all."""
_RACES = 10


def stands(purpose: str, row: Item) -> bool:
    """Whether a choice allows the purpose: granted, under a policy version since which none has `widens` it. A wider
    purpose needs consent again (GDPR Art. 6(1)(a), commitment POL-2)."""
    versions = read_policy("versions")["versions"]
    widened = [version for version, about in versions.items() if purpose in about.get("widens", ())]
    return bool(row["state"] == GRANTED and row["policy"] >= max(widened, default=""))


def optional_purposes() -> tuple[str, ...]:
    """The purposes that a data subject may choose."""
    return tuple(name for name, purpose in read_policy("purposes")["purposes"].items() if purpose["optional"])


class OnlyThePerson(Exception):
    """The person has withdrawn this purpose themselves: nobody else gives the consent again (GDPR Art. 7(3))."""

    def __init__(self) -> None:
        super().__init__("withdrawn by the person")


class Consents:
    """The repository. `table`: catalogued Requests."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def all(self, project: str, subject: str, now: float) -> dict[str, Item]:
        """What the subject chose, by purpose; a purpose without a choice is not in it, and is off."""
        return {purpose: row for purpose, row in self._rows(project, subject).items() if _lives(row, now)}

    def get(self, project: str, subject: str, purpose: str) -> Item | None:
        """The row of one choice."""
        return self._table.get(consent_pk(project, subject), purpose)

    def note(self, row: Item, **facts: Any) -> Item:
        """Keep facts of this very revision; Collision where it was chosen anew. A receipt is kept once: Collision where
        one stands."""
        expect = {"kind": "consent", "rev": row["rev"], **({"receipt": None} if "receipt" in facts else {})}
        return self._table.update(str(row["pk"]), str(row["sk"]), Change(put=facts, expect=expect))

    def granted(self, project: str, subject: str, now: float) -> frozenset[str]:
        """The purposes that the subject allows at this moment, by a consistent read."""
        rows = self.all(project, subject, now)
        return frozenset(purpose for purpose, row in rows.items() if stands(purpose, row))

    def refused(self, project: str, subject: str, now: float) -> frozenset[str]:
        """The purposes that the subject has withdrawn or objected to."""
        rows = self.all(project, subject, now)
        return frozenset(purpose for purpose, row in rows.items() if row["state"] == WITHDRAWN)

    def choose(self, project: str, subject: str, purpose: str, state: str, now: float, by: str = PROJECT) -> Item:
        """Write a choice, told `by` whom, under the policy version of now; the row as it stands. The same choice again
        changes nothing. OnlyThePerson where a project would grant what the person has withdrawn themselves. Collision
        after ten lost races."""
        version = read_policy("versions")["current"]
        for _ in range(_RACES):
            row = self._rows(project, subject).get(purpose)
            same = row is not None and (row["state"], row["policy"]) == (state, version)
            if row is not None and same and "ttl" not in row:
                return row
            if (state, by) == (GRANTED, PROJECT) and row is not None and _withdrawn_by_person(row):
                raise OnlyThePerson
            try:
                return self._write(project, subject, purpose, row, state, by, now)
            except Collision:
                continue
        raise Collision

    def erased(self, project: str, subjects: Sequence[str], until: float, now: float) -> None:
        """Withdraw what was granted at `until` or before: the person is forgotten, and a later return begins with no.
        Objections stay as they are. Safe to repeat."""
        for subject in subjects:
            for purpose in optional_purposes():
                self._end(project, subject, purpose, until, now)

    def _end(self, project: str, subject: str, purpose: str, until: float, now: float) -> None:
        for _ in range(_RACES):
            row = self._rows(project, subject).get(purpose)
            if row is None or row["state"] != GRANTED or row["at"] > until:
                return
            try:
                self._write(project, subject, purpose, row, WITHDRAWN, "erasure", now)
            except Collision:
                continue
            return
        raise Collision

    def _rows(self, project: str, subject: str) -> dict[str, Item]:
        # With what has expired: TTL deletion takes days, and the next revision must not collide with such a row.
        return {str(row["sk"]): row for row in self._table.query(consent_pk(project, subject), expired=True)}

    def _write(
        self, project: str, subject: str, purpose: str, row: Item | None, state: str, by: str, now: float
    ) -> Item:
        revision, policy = (row["rev"] if row else 0) + 1, read_policy("versions")["current"]
        event = {"rev": revision, "state": state, "at": int(now), "by": by, "policy": policy}
        events = [*(row["events"] if row and _lives(row, now) else ()), event][-MAX_EVENTS:]
        put = {**event, "kind": "consent", "id": row["id"] if row else "con_" + random62(24), "events": events}
        if by == "erasure":
            put["ttl"] = expiry("consent", now)
        drop = ("receipt", "told", *(() if by == "erasure" else ("ttl",)))  # those were of the former revision
        change = Change(put=put, drop=drop, expect={"rev": row["rev"] if row else None})
        return self._table.update(consent_pk(project, subject), purpose, change)


def _withdrawn_by_person(row: Item) -> bool:
    """Whether the person is among those who have withdrawn it since it was last granted."""
    for event in reversed(row["events"]):
        if event["state"] != WITHDRAWN:
            return False
        if event["by"] == PERSON:
            return True
    return False


def _lives(row: Item, now: float) -> bool:
    return bool(row.get("ttl", now + 1) > now)
