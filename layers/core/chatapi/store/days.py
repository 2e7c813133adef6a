"""The subject's day row: what was disclosed to whom (GDPR Art. 15(1)(c), commitment SHR-2) and how much was used.

One row for a subject, recipient and UTC day, written by one update; further chats of the day add to its counters.
"""

from __future__ import annotations

from chatapi.catalogue import expiry, read_policy
from chatapi.clock import Clock, day_of
from chatapi.store.items import Change, Table
from chatapi.store.keys import UNDATED, alias_sk, day_sk, subject_pk


class Days:
    """The repository of day rows and of aliases, rows that need no key. `table`: catalogued Records."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def disclose(
        self, project: str, subject: str, recipient: str, tokens_in: int, tokens_out: int, *, since: float | None = None
    ) -> None:
        """Record a chat whose messages went to `recipient` (a name of policy/processors.toml).

        `since`: when that chat began, now where not given. An erasure takes what began before it, however late it is
        written, and leaves what a person who comes back does afterwards.
        """
        now = self._clock.now()
        processor = read_policy("processors")["processors"][recipient]
        purpose = processor["purposes"][0]
        self._table.update(
            subject_pk(project, subject, UNDATED),
            day_sk(day_of(now), recipient),
            Change(
                default={
                    "kind": "day",
                    "since": int(now if since is None else since),
                    "categories": processor["categories"],
                    "purpose": purpose,
                    "basis": read_policy("purposes")["purposes"][purpose]["basis"],
                    "ttl": expiry("day", now),
                },
                add={"requests": 1, "tokens_in": tokens_in, "tokens_out": tokens_out},
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
