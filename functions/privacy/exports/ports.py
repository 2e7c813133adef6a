"""What an export works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from privacy.exports.archive import Sink
from privacy.tasks.ports import Work


class Uploads(Protocol):
    """A bucket that is written to."""

    def begin(self, key: str) -> Sink:
        """An object on its way: nothing is readable before it is committed."""
        ...


@dataclass(frozen=True)
class Ports(Work):
    """One per function."""

    uploads: Uploads
