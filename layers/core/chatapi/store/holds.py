"""Legal holds on what is stored of a data subject (GDPR Art. 17(3), 18): by kind, with basis, owner, review and end.

A hold always ends: by its `expires`, or because an operator releases it, which moves `expires` to now. The row stays as
the record of it. Ids are `hold_` and random characters.

One that is added while an erasure is under way is honoured until the erasure's commit: the hold is written, then the
case is told of it, and the commit goes through only where the case has been told of none since its holds were read.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatapi.catalogue import catalogue, expiry
from chatapi.errors import NotFound
from chatapi.ids import random62
from chatapi.store.aliases import aliases
from chatapi.store.cases import Cases
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import hold_pk, open_pk, open_sk

_SHORT = 200


class HoldError(Exception):
    """What was asked for is not possible. The text says why; it is fixed."""


def holdable(name: str) -> bool:
    """Whether rows of a kind can outlive an erasure: what is deleted otherwise, and theirs to see.
    What lies under the subject's key is sealed anew (`sealed_anew`), the rest stays where it is."""
    kind = catalogue().kinds.get(name)
    return bool(kind and kind.erase == "delete" and kind.export)


def sealed_anew(name: str) -> bool:
    """Whether rows of a kind die with the subject's key, so that a hold keeps them under a key of the case."""
    return bool(catalogue().kinds[name].encrypted)


def announce(requests: Table, records: Table, project: str, subject: str, hold: str) -> list[str]:
    """Tell the erasures of a subject that are under way, those through its aliases too, of a hold that was written; the
    ids of those for which it comes too late."""
    cases, late = Cases(requests), []
    for name in sorted({subject, *aliases(records, project, subject)}):
        pointer = requests.get(open_pk(project, name), open_sk("erasure"))
        case = cases.find(project, pointer["case"]) if pointer else None  # one that is not there yet will see the hold
        if case is not None and case.open and not cases.announce(case, hold):
            late.append(case.id)
    return late


class Holds:
    """The repository. `table` is the catalogued Requests table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(
        self, project: str, subject: str, kinds: Sequence[str], basis: str, owner: str, *, days: int, now: float
    ) -> Item:
        """A hold for `days` from now, to be reviewed half-way. HoldError where it could not be honoured."""
        if not kinds or not all(holdable(kind) for kind in kinds):
            able = ", ".join(sorted(kind for kind in catalogue().kinds if holdable(kind)))
            raise HoldError("a hold names kinds that can be held: " + able)
        if not (0 < len(basis) <= _SHORT and 0 < len(owner) <= _SHORT):
            raise HoldError("a hold has a basis and an owner, of at most 200 characters each")
        if not 1 <= days <= 3650:
            raise HoldError("a hold ends: after 1 to 3650 days")
        item = {
            "pk": hold_pk(project, subject),
            "sk": "hold_" + random62(12),
            "kind": "hold",
            "kinds": sorted(set(kinds)),
            "basis": basis,
            "owner": owner,
            "review": int(now) + days * 43_200,
            "expires": int(now) + days * 86_400,
            "ttl": expiry("hold", now),
        }
        self._table.put(item, absent=True)
        return item

    def all(self, project: str, subject: str) -> list[Item]:
        """Every hold on a subject, ended ones too."""
        return self._table.query(hold_pk(project, subject))

    def in_force(self, project: str, subject: str, now: float) -> list[Item]:
        """Those that have not ended."""
        return [hold for hold in self.all(project, subject) if hold["expires"] > now]

    def release(self, project: str, subject: str, hold: str, now: float) -> Item:
        """End a hold now. NotFound where there is none; one that has ended stays as it is."""
        found = self._table.get(hold_pk(project, subject), hold)
        if found is None:
            raise NotFound
        if found["expires"] <= now:
            return found
        try:
            return self._table.update(
                found["pk"], hold, Change(put={"expires": int(now)}, expect={"kind": "hold", "sk": hold})
            )
        except Collision:
            raise NotFound from None
