"""The limits of a project, as an operator gives them and as its item keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from chatapi.catalogue import read_policy
from chatapi.limits.windows import NO_LIMIT

MAX_LEASE = 8


@dataclass(frozen=True)
class Limits:
    """What a project may use. Requests and tokens a minute, requests a day, tokens a month, chats at the same time (0:
    any number), data-rights requests a minute (a bucket of their own), micro-USD a month; optional, 0 for none:
    requests debited at once (a lease, without a cap of chats alone), requests and tokens a minute of each end user."""

    rpm: int = 60
    tpm: int = 100_000
    rpd: int = 10_000
    tpmo: int = 100_000_000
    conc: int = 10
    prm: int = 60
    smo: int = NO_LIMIT
    lease: int = 0
    urpm: int = 0
    utpm: int = 0

    @classmethod
    def of_stage(cls, stage: str, **given: int | None) -> Limits:
        """The defaults of a stage (policy/limits.toml) with what is given on top. KeyError: no such stage."""
        return cls(**read_policy("limits")[stage] | {name: value for name, value in given.items() if value is not None})

    def checked(self) -> dict[str, int]:
        """As they are kept: what is optional only where it is given. ValueError where one is none."""
        optional = {"conc": self.conc, "lease": self.lease, "urpm": self.urpm, "utpm": self.utpm}
        needed = {name: value for name, value in vars(self).items() if name not in optional}
        if min(needed.values()) < 1 or min(optional.values()) < 0:
            raise ValueError("every limit is at least 1")
        if max(needed.values()) > NO_LIMIT:
            raise ValueError("a limit is at most 10^15")
        if self.lease and (self.conc or not 2 <= self.lease <= MAX_LEASE):
            raise ValueError("a lease is of 2 to 8 requests, for a project with concurrency 0")
        return {**needed, "conc": self.conc, **{name: value for name, value in optional.items() if value}}
