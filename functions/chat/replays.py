"""Idempotency-Key on POST /v1/chat/completions and /v1/responses: a request that is sent twice is generated once.

    claim ─▶ nobody has it: ours, until a deadline ─▶ … generated, settled ─▶ stored? keep its id : release the key
          └▶ the same body: in flight 409, or the stored completion again
          └▶ another body: 409

What is replayed is the stored completion or response itself, sealed under its subject's key; nothing is kept a second
time. Where nothing is stored (the default), nothing is replayed, and the lock alone protects while the first request is
under way.

A key belongs to the data subject of its request: the row lies in the subject's partition, so an erasure takes it, and
neither the key nor a digest of the body says anything outside of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from chatapi.catalogue import expiry
from chatapi.clock import Clock
from chatapi.errors import BadRequest, Conflict
from chatapi.logs import log_error
from chatapi.store.items import Change, Collision, Item, Table
from chatapi.store.keys import UNDATED, idempotency_sk, subject_pk
from chatapi.vault.lp import lp

LONGEST = 255
_GRACE = 15
"""Seconds after a request's own deadline until its lock can be taken over."""


@dataclass
class Claim:
    """A key that this request holds, or, with `completion`, what was stored under it."""

    pk: str
    sk: str
    project: str
    end: Callable[[], None]
    completion: str | None = None
    kept: tuple[str, int] | None = None  # id and expiry of what this request stored
    ended: bool = False


class Replays:
    """The repository. `table`: catalogued Records; `pepper_of` a project's pepper."""

    def __init__(self, table: Table, pepper_of: Callable[[str], bytes], clock: Clock) -> None:
        self._table = table
        self._pepper_of = pepper_of
        self._clock = clock

    def claim(
        self, project: str, subject: str, key: str, body: bytes, timeout: float, *, surface: str = "body"
    ) -> Claim:
        """Take the key for `timeout` seconds; `surface` tells apart what the body is of. BadRequest where it is none,
        Conflict where somebody else has it."""
        if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
            raise BadRequest("Idempotency-Key is 1 to 255 printable characters.", code="invalid_idempotency_key")
        secret = hmac.digest(self._pepper_of(project), lp("chatapi/idempotency/v1", subject), "sha256")
        digest = hmac.digest(secret, lp(surface, body), "sha256")
        sk = idempotency_sk(hmac.digest(secret, lp("key", key), "sha256")[:16].hex())
        claim = Claim(subject_pk(project, subject, UNDATED), sk, project, lambda: self.end(claim))
        now = int(self._clock.now())
        until = now + int(timeout) + _GRACE
        row = {"kind": "idempotency", "since": now, "digest": digest, "until": until, "ttl": until}
        standing = self._put(claim, row, None)
        if standing is not None and _over(standing, now):
            standing = self._put(claim, row, standing["until"])
        if standing is None:
            return claim
        if not hmac.compare_digest(standing["digest"], digest):
            raise Conflict("This Idempotency-Key was used with another body.", code="idempotency_key_reused")
        if "completion" not in standing:
            raise _in_flight()
        claim.completion = standing["completion"]
        return claim

    def _put(self, claim: Claim, row: Item, until: int | None) -> Item | None:
        """Write the row where none stands, or the one with that `until`; None, or what stands there instead."""
        expect = {"kind": None} if until is None else {"kind": "idempotency", "until": until}
        try:
            self._table.update(claim.pk, claim.sk, Change(put=row, drop=["completion"] if until else (), expect=expect))
        except Collision as collision:
            standing = collision.item
        else:
            return None
        if standing is None:  # it ended at this very moment
            raise _in_flight()
        return standing

    def end(self, claim: Claim) -> None:
        """The request is over: what it stored can be replayed, else the key is free again. Once: afterwards the key may
        be somebody else's. Never raises: the answer is made, and the lock ends by itself."""
        if claim.ended:
            return
        claim.ended = True
        try:
            if claim.kept is None:
                self._table.delete_all([(claim.pk, claim.sk)])
            else:
                name, expires = claim.kept
                ttl = min(expires, expiry("idempotency", self._clock.now()))
                put = {"completion": name, "until": ttl, "ttl": ttl}
                self._table.update(claim.pk, claim.sk, Change(put=put, expect={"kind": "idempotency"}))
        except Exception as error:  # noqa: BLE001 - see above; logged for the alarm
            log_error("idempotency_failed", error, function="chat", project=claim.project)


def _over(row: Item, now: int) -> bool:
    return bool(row["until"] <= now)


def _in_flight() -> Conflict:
    conflict = Conflict("A request with this Idempotency-Key is under way.", code="idempotency_key_in_use")
    conflict.headers.update({"x-should-retry": "true", "retry-after": "2"})
    return conflict
