"""Sign-in challenges in the Requests table: keyed hashes and counters, gone after ten minutes.

    asked ──▶ open (a code was sent) ──▶ used           every step one conditional update; used and spent are final
      └── an address that is not the owner's: stays asked, and looks the same from outside

A guess is counted before it is looked at, so of many at once only the first few are compared at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatapi.clock import Clock
from chatapi.ids import random62
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import asked_pk, challenge_pk, spent_pk

ASKED, OPEN, USED = "asked", "open", "used"
CODE_SECONDS = 600
MAX_TRIES = 5
MAX_AN_HOUR = 5
_HOUR = 3600
_SK = "-"


@dataclass(frozen=True)
class Challenge:
    """One sign-in that was begun. `target` is a keyed hash of project and address, `code` one of id and code; `claim`
    the id under which cases that came by mail know the address."""

    id: str
    project: str
    target: str
    state: str
    base: str
    language: str
    tries: int
    ends: int
    code: bytes
    claim: str = ""


class Challenges:
    """The repository. `table` is the catalogued Requests table."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def count(self, target: str) -> int:
        """Count one more code asked for of a target; how many this hour. One update: none goes uncounted."""
        now = int(self._clock.now())
        hour = now - now % _HOUR
        change = Change(put={"kind": "asking", "ttl": hour + 2 * _HOUR}, add={"n": 1})
        return int(self._table.update(asked_pk(target), str(hour), change)["n"])

    def begin(self, project: str, target: str, claim: str, base: str, language: str) -> str:
        """A new challenge; its id."""
        name = random62(24)
        item: Item = {"pk": challenge_pk(name), "sk": _SK, "kind": "challenge", "project": project, "target": target}
        item["claim"] = claim
        ends = int(self._clock.now()) + CODE_SECONDS
        self._table.put(item | {"state": ASKED, "base": base, "lang": language, "tries": 0, "ttl": ends}, absent=True)
        return name

    def get(self, name: str) -> Challenge | None:
        """One that has not ended."""
        item = self._table.get(challenge_pk(name), _SK)
        return _challenge(name, item) if item else None

    def arm(self, name: str, code: bytes) -> bool:
        """Write down the keyed hash of the code that is about to be sent. False where a guess was made meanwhile, or
        the challenge has ended: then none is sent."""
        expect = {"kind": "challenge", "state": frozenset({ASKED, OPEN}), "tries": 0}
        return self._change(name, Change(put={"state": OPEN, "code": code}, expect=expect)) is not None

    def guess(self, name: str) -> Challenge | None:
        """Count a guess, then show what to compare it with. None where there is nothing left to guess at."""
        change = Change(add={"tries": 1}, expect={"kind": "challenge", "state": frozenset({ASKED, OPEN})})
        found = self._change(name, change)
        return found if found and found.ends > self._clock.now() and found.tries <= MAX_TRIES else None

    def use(self, name: str, code: bytes) -> bool:
        """End an open challenge by its code. Of two at once exactly one is told True."""
        change = Change(put={"state": USED}, drop=["code"], expect={"kind": "challenge", "state": OPEN, "code": code})
        return self._change(name, change) is not None

    def spend(self, token_id: str, expires: int) -> bool:
        """Use up a portal link. Of two at once exactly one is told True."""
        try:
            self._table.put({"pk": spent_pk(token_id), "sk": _SK, "kind": "spent", "ttl": expires}, absent=True)
        except Collision:
            return False
        return True

    def _change(self, name: str, change: Change) -> Challenge | None:
        try:
            return _challenge(name, self._table.update(challenge_pk(name), _SK, change))
        except Collision:
            return None


def _challenge(name: str, item: Item) -> Challenge:
    return Challenge(
        id=name,
        project=item["project"],
        target=item["target"],
        state=item["state"],
        base=item["base"],
        language=item["lang"],
        tries=item["tries"],
        ends=item["ttl"],
        code=item.get("code", b""),
        claim=item.get("claim", ""),
    )
