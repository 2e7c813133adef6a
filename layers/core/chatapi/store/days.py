"""The subject's day row: what was disclosed to whom (GDPR Art. 15(1)(c), commitment SHR-2) and how much was used.

One row for a subject, recipient and UTC day, written by one update; further chats of the day add to its counters.
"""

from __future__ import annotations

from typing import NamedTuple

from chatapi.catalogue import expiry, read_policy
from chatapi.clock import Clock, day_of
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import UNDATED, alias_sk, date_of, day_sk, remainder_pk, subject_pk
from chatapi.store.usage import shard_of
from chatapi.usage import Counts, counters, only_counters


class Charge(NamedTuple):
    """To which key and model a chat's usage is counted; `cached` of its prompt tokens; its cost."""

    kid: str
    model: str
    cached: int = 0
    micro_usd: int = 0


class Days:
    """The repository of day rows and of aliases, rows that need no key. `table`: catalogued Records."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def disclose(
        self,
        project: str,
        subject: str,
        recipient: str,
        tokens_in: int,
        tokens_out: int,
        *,
        since: float | None = None,
        charge: Charge | None = None,
    ) -> None:
        """Record a chat whose messages went to `recipient` (a name of policy/processors.toml).

        `since`: when that chat began, now where not given. An erasure takes what began before it, however late it is
        written, and leaves what a person who comes back does afterwards. `charge`: to what the usage is counted.
        """
        now = self._clock.now()
        processor = read_policy("processors")["processors"][recipient]
        purpose = processor["purposes"][0]
        pk, date = subject_pk(project, subject, UNDATED), day_of(now)
        used: dict[str, int] = {}
        if charge is not None:
            counts = Counts(1, tokens_in, charge.cached, tokens_out, charge.micro_usd)
            used = counters(charge.kid, charge.model, counts)
        self._table.apply(
            pk,
            day_sk(date, recipient),
            Change(
                default={
                    "kind": "day",
                    "since": int(now if since is None else since),
                    "categories": processor["categories"],
                    "purpose": purpose,
                    "basis": read_policy("purposes")["purposes"][purpose]["basis"],
                    "shard": shard_of(date, pk),
                    "ttl": expiry("day", now),
                },
                add={"requests": 1, "tokens_in": tokens_in, "tokens_out": tokens_out, **used},
            ),
        )

    def alias(self, project: str, subject: str, primary: str) -> None:
        """Remember that `subject` and `primary` are one person, both ways: either selector finds all the data."""
        now = self._clock.now()
        rest = {"kind": "alias", "since": int(now), "ttl": expiry("alias", now)}
        pairs = ((subject, primary), (primary, subject))
        self._table.put_all(
            [{"pk": subject_pk(project, one, UNDATED), "sk": alias_sk(other), **rest} for one, other in pairs]
        )


_RACES = 10


def _begin(date: str) -> float:
    from datetime import UTC, datetime  # the chat function writes day rows and forgets none

    return datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).timestamp()


def forget(records: Table, row: Item) -> None:
    """Delete a day row for an erasure. What it counted goes on as a number of the project's day: in one transaction it
    is added to the day's `remainder`, which names nobody, so usage neither drops nor counts twice, however often an
    interrupted erasure comes by. A chat that counts meanwhile makes it begin anew."""
    project, date = row["pk"].split("#")[1], date_of(row["sk"])
    pk = remainder_pk(project)
    for _ in range(_RACES):
        used = only_counters(row)
        if not used:
            records.delete_all([(row["pk"], row["sk"])])
            return
        # Of a day row's life, whatever a legal hold has made of this one's: a remainder says no more.
        default = {"kind": "remainder", "shard": shard_of(date, pk), "ttl": expiry("remainder", _begin(date))}
        try:
            records.fold(
                (row["pk"], row["sk"]), {"requests": row["requests"]}, pk, date, Change(default=default, add=used)
            )
            return
        except Collision:
            # A row that began later is of a person who came back: the erasure is not its.
            standing = [
                found
                for found in records.query(row["pk"], row["sk"], expired=True)
                if (found["sk"], found["since"]) == (row["sk"], row["since"])
            ]
            if not standing:
                return
            row = standing[0]
    raise Collision
